/* A table: a grid of texts in a pane that scrolls sideways when the columns, already wrapped to a
 * word or two, are still wider than the view. */
#ifndef HEARTH_MARKDOWN_TABLE_H
#define HEARTH_MARKDOWN_TABLE_H

#include <gtk/gtk.h>

#include "model/block.h"

GtkWidget *hearth_markdown_table_new(const HearthMarkdownBlock *block);
/* Rows that are equal stay as they are; false: the columns changed, make another. */
bool hearth_markdown_table_update(GtkWidget *table, const HearthMarkdownBlock *old,
                                  const HearthMarkdownBlock *block);

#endif
