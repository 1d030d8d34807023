/* A Markdown text that grows, as blocks: each time it grows only the end is parsed again, from the
 * start of the last top-level block on (scan.h knows that place). When it is complete everything is
 * parsed once more, since a link definition may reach back; so in the end the blocks are those of
 * the whole text, whatever pieces it came in. */
#ifndef HEARTH_MARKDOWN_DOC_H
#define HEARTH_MARKDOWN_DOC_H

#include "block.h"

typedef struct {
    GString *text;
    gsize tail;        /* where the blocks begin that are not frozen */
    GPtrArray *blocks; /* all */
    guint frozen;      /* as many of them will not change before the text is complete */
    bool complete;
} HearthMarkdownDoc;

void hearth_markdown_doc_init(HearthMarkdownDoc *doc);
void hearth_markdown_doc_clear(HearthMarkdownDoc *doc);
/* `text`: the whole; cheap when it begins with what was there before. Returns how many of the first
 * blocks are the very ones of before. */
guint hearth_markdown_doc_set_text(HearthMarkdownDoc *doc, const char *text, gsize len,
                                   bool complete);

#endif
