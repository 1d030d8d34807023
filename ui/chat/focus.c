#include "focus.h"

#include <stdbool.h>

gboolean hearth_chat_focus_move(GtkWidget *widget, GtkDirectionType direction)
{
    bool back = direction == GTK_DIR_TAB_BACKWARD || direction == GTK_DIR_UP;
    GtkWidget *child = gtk_widget_get_focus_child(widget);
    if (child && (direction == GTK_DIR_LEFT || direction == GTK_DIR_RIGHT))
        return gtk_widget_child_focus(child, direction);
    if (!child)
        child = back ? gtk_widget_get_last_child(widget) : gtk_widget_get_first_child(widget);
    while (child && !gtk_widget_child_focus(child, direction))
        child = back ? gtk_widget_get_prev_sibling(child) : gtk_widget_get_next_sibling(child);
    return child != NULL;
}
