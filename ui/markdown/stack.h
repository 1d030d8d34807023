/* Children one below the other, each as wide as the stack: the view with its pages, and a page with
 * its blocks. GtkBoxLayout would do it, at several times the cost for each child that did not
 * change; and a long answer has so many blocks that even GTK's own part of asking each of them,
 * 6 µs, was most of a frame. So they come in pages: GTK remembers what a page said, and in a frame
 * only the blocks of the page that changed are asked. */
#ifndef HEARTH_MARKDOWN_STACK_H
#define HEARTH_MARKDOWN_STACK_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_MARKDOWN_STACK (hearth_markdown_stack_get_type())
G_DECLARE_DERIVABLE_TYPE(HearthMarkdownStack, hearth_markdown_stack, HEARTH, MARKDOWN_STACK,
                         GtkWidget)

struct _HearthMarkdownStackClass {
    GtkWidgetClass parent_class;
};

/* A page: its CSS name is that. */
GtkWidget *hearth_markdown_stack_new(void);

/* Draws only what reaches into these heights, px from the top; from == to (as it begins): all. */
void hearth_markdown_stack_set_shown(HearthMarkdownStack *self, int from, int to);

#endif
