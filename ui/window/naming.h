/* A small popover that asks for a name: of a conversation, of a folder. */
#ifndef HEARTH_WINDOW_NAMING_H
#define HEARTH_WINDOW_NAMING_H

#include <gtk/gtk.h>

/* `name`: what was typed, not empty, without blanks around it. */
typedef void (*HearthNamingFunc)(const char *name, gpointer data);

/* `at`: the place within `anchor` that it points to, or NULL for all of it. `anchor` lays its
 * children out by a layout manager (a box, a bin, a button). `action`: the button's label, with a
 * mnemonic. `done` is not called when the popover is dismissed; `free_data` always. The focus goes
 * to the anchor afterwards. */
void hearth_naming_ask(GtkWidget *anchor, const GdkRectangle *at, const char *heading,
                       const char *name, const char *action, HearthNamingFunc done, gpointer data,
                       GDestroyNotify free_data);

#endif
