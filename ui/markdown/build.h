/* Widgets of blocks. A container (the view, a list item, a quote) has one child per block, in
 * order; when its blocks change, children whose block is equal are left alone, children of the same
 * kind are changed in place, and the rest is made anew. */
#ifndef HEARTH_MARKDOWN_BUILD_H
#define HEARTH_MARKDOWN_BUILD_H

#include <gtk/gtk.h>

#include "model/block.h"

/* Makes the container's children those of `blocks`; the first `same` are known to be right. */
void hearth_markdown_build_children(GtkWidget *container, const GPtrArray *blocks, guint same);
/* How many block widgets were made since the program began: tests hold streaming to it. */
guint hearth_markdown_build_count(void);

#endif
