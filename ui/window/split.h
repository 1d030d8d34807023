/* A sidebar beside the content, with a line between them that can be dragged; in a narrow window
 * the sidebar slides over the content instead, and goes when the content is touched.
 *
 * Both children stay where they are: only their allocation changes, so that nothing is built again
 * when the window is made narrow. */
#ifndef HEARTH_WINDOW_SPLIT_H
#define HEARTH_WINDOW_SPLIT_H

#include <adwaita.h>
#include <stdbool.h>

#define HEARTH_TYPE_SPLIT (hearth_split_get_type())
G_DECLARE_FINAL_TYPE(HearthSplit, hearth_split, HEARTH, SPLIT, GtkWidget)

/* Properties: "sidebar", "content" (widgets), "show-sidebar" (boolean; over the content it is
 * another one than beside it), "sidebar-width" (int, px), "narrow" (boolean, read-only). */

bool hearth_split_get_narrow(HearthSplit *split);
bool hearth_split_get_show_sidebar(HearthSplit *split);
void hearth_split_set_show_sidebar(HearthSplit *split, bool show);

/* Where the focus goes when the sidebar takes it along; a widget in the content, borrowed. */
void hearth_split_set_home(HearthSplit *split, GtkWidget *home);

/* For keys: the line takes the focus, arrow keys move it. */
void hearth_split_focus_line(HearthSplit *split);

#endif
