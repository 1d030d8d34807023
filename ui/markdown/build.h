/* Widgets of blocks. A container (a page of the view, a list item, a quote) has one child per
 * block, in order; the view has as many pages as it takes (stack.h). When the blocks change,
 * children whose block is equal are left alone, children of the same kind are changed in place, and
 * the rest is made anew. */
#ifndef HEARTH_MARKDOWN_BUILD_H
#define HEARTH_MARKDOWN_BUILD_H

#include <gtk/gtk.h>

#include "model/block.h"

/* Makes the children of the view, or of another container, those of `blocks`, beginning with the
 * one at `from` (those before are right already) and for about `milliseconds` (0: all). Returns up
 * to where it came; what is behind that is still as it was. */
guint hearth_markdown_build_children(GtkWidget *container, const GPtrArray *blocks, guint from,
                                     int milliseconds);
/* How many block widgets were made since the program began: tests hold streaming to it. */
guint hearth_markdown_build_count(void);

#endif
