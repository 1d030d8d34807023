/* The list of conversations with the search over it, under its header bar; the gauges at its foot.
 * It says which conversation was chosen and shows which one is open; opening is the window's. */
#ifndef HEARTH_WINDOW_SIDEBAR_H
#define HEARTH_WINDOW_SIDEBAR_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_SIDEBAR (hearth_sidebar_get_type())
G_DECLARE_FINAL_TYPE(HearthSidebar, hearth_sidebar, HEARTH, SIDEBAR, GtkBox)

/* Signals:
 *   "opened" (HearthConversation *, gint64 message)   chosen; message: the one that was found, or 0
 *   "activated"   by Enter or a double click: the person wants to write to it */

GtkWidget *hearth_sidebar_new(HearthApp *app);

/* Selects its row, where it has one. */
void hearth_sidebar_set_current(HearthSidebar *sidebar, HearthConversation *conversation);

void hearth_sidebar_focus_search(HearthSidebar *sidebar);
void hearth_sidebar_open_main_menu(HearthSidebar *sidebar);
GtkWidget *hearth_sidebar_get_menu_button(HearthSidebar *sidebar); /* borrowed */

/* The conversation after (+1) or before (-1) the current one; NULL at the ends. Borrowed. */
HearthConversation *hearth_sidebar_step(HearthSidebar *sidebar, int by);

/* Where the row of a HearthConversation or HearthFolder is, in the sidebar's coordinates; false
 * when it is not in view. */
bool hearth_sidebar_locate(HearthSidebar *sidebar, gpointer thing, GdkRectangle *ret);

#endif
