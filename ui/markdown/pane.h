/* Scrolls its child sideways, by itself, when the child's smallest width is more than there is; as
 * high as the child at the width it gets (which GtkScrolledWindow does not ask for). */
#ifndef HEARTH_MARKDOWN_PANE_H
#define HEARTH_MARKDOWN_PANE_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_MARKDOWN_PANE (hearth_markdown_pane_get_type())
G_DECLARE_FINAL_TYPE(HearthMarkdownPane, hearth_markdown_pane, HEARTH, MARKDOWN_PANE, GtkWidget)

GtkWidget *hearth_markdown_pane_new(GtkWidget *child);
GtkWidget *hearth_markdown_pane_get_child(HearthMarkdownPane *self);

#endif
