/* The widget of one sidebar row; the list recycles it, so it shows whatever item it is given and
 * follows that item until it is given another one. */
#ifndef HEARTH_WINDOW_ROW_H
#define HEARTH_WINDOW_ROW_H

#include <gtk/gtk.h>

#include "window/sidebar/item.h"

#define HEARTH_TYPE_ROW (hearth_row_get_type())
G_DECLARE_FINAL_TYPE(HearthRow, hearth_row, HEARTH, ROW, GtkBox)

GtkWidget *hearth_row_new(void);

/* NULL: none. The row's name for assistive technology goes to its parent, the list's own widget. */
void hearth_row_set_item(HearthRow *row, HearthItem *item);
HearthItem *hearth_row_get_item(HearthRow *row); /* borrowed, or NULL */

/* The title of a conversation as it is shown: a new one has none of its own. */
const char *hearth_row_title_of(HearthConversation *conversation);

#endif
