/* For widgets that give the focus on to one of their children (grab_focus): GTK would do the same
 * for Tab, and all their other children could not be reached. */
#ifndef HEARTH_CHAT_FOCUS_H
#define HEARTH_CHAT_FOCUS_H

#include <gtk/gtk.h>

/* The `focus` of such a widget: from child to child, in their order. */
gboolean hearth_chat_focus_move(GtkWidget *widget, GtkDirectionType direction);

#endif
