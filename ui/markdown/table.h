/* A table: a grid of texts in a pane that scrolls sideways when the columns, already wrapped to a
 * word or two, are still wider than the view. Of a very long one the first rows are shown, and a
 * button for the rest; one that grew while it was shown stays open. */
#ifndef HEARTH_MARKDOWN_TABLE_H
#define HEARTH_MARKDOWN_TABLE_H

#include <gtk/gtk.h>

#include "model/block.h"

GtkWidget *hearth_markdown_table_new(HearthMarkdownBlock *block);
/* Rows that are equal stay as they are; false: it cannot be changed so, make another. */
bool hearth_markdown_table_update(GtkWidget *table, const HearthMarkdownBlock *old,
                                  HearthMarkdownBlock *block);

#endif
