/* A code block: its language, Copy, Wrap Lines, and the code in a GtkSourceView that scrolls
 * sideways by itself. Long ones show their first lines and a button for the rest; one that grew
 * while it was shown stays open.
 *
 * A source view costs a hundred times what a label costs, so each block begins as a label and
 * changes when the main loop has nothing better to do: one after the other, and only within a
 * screen of what is seen. */
#ifndef HEARTH_MARKDOWN_CODE_H
#define HEARTH_MARKDOWN_CODE_H

#include <gtksourceview/gtksource.h>

#include "model/block.h"

#define HEARTH_TYPE_MARKDOWN_CODE (hearth_markdown_code_get_type())
G_DECLARE_FINAL_TYPE(HearthMarkdownCode, hearth_markdown_code, HEARTH, MARKDOWN_CODE, GtkWidget)

/* Of all blocks that are made from now on: whose "wrap-code" says whether lines are wrapped, until
 * a block's own button says otherwise. NULL: they are not. */
void hearth_markdown_code_set_settings(GSettings *settings);

GtkWidget *hearth_markdown_code_new(HearthMarkdownBlock *block);
/* Text that only grew is appended; buffer and selection stay. */
void hearth_markdown_code_update(HearthMarkdownCode *self, HearthMarkdownBlock *block);
/* NULL while it is a label. */
GtkSourceBuffer *hearth_markdown_code_get_buffer(HearthMarkdownCode *self);

#endif
