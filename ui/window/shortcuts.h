/* The keys of the program: one table, from which the accelerators are set and the page of shortcuts
 * is made. */
#ifndef HEARTH_WINDOW_SHORTCUTS_H
#define HEARTH_WINDOW_SHORTCUTS_H

#include <adwaita.h>

/* Once, at the start. */
void hearth_shortcuts_install(GtkApplication *application);

/* Keys that widgets may want first (Escape closes a menu before it stops an answer). */
GtkEventController *hearth_shortcuts_new_controller(void);

void hearth_shortcuts_show(GtkWindow *parent);

#endif
