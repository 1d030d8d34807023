/* The text of one leaf block while it is being written: Pango markup with its open tags, so that
 * the text can be cut anywhere and go on in the next block. */
#ifndef HEARTH_MARKDOWN_INLINE_H
#define HEARTH_MARKDOWN_INLINE_H

#include <glib.h>
#include <stdbool.h>

typedef struct {
    GString *markup;
    GPtrArray *tags; /* of the open ones, char *: the opening tag; "" for one that is left out */
    gsize chars;     /* bytes of text, without tags … */
    gsize word;      /* … and of its end that a line cannot be broken in */
    bool line_break; /* written before the next text, never at the end */
    bool in_link;
} HearthMarkdownInline;

void hearth_markdown_inline_init(HearthMarkdownInline *self);
void hearth_markdown_inline_clear(HearthMarkdownInline *self);
/* "<b>"; beyond a depth, and `tag` NULL, it is only counted. */
void hearth_markdown_inline_open(HearthMarkdownInline *self, const char *tag);
void hearth_markdown_inline_close(HearthMarkdownInline *self);
void hearth_markdown_inline_text(HearthMarkdownInline *self, const char *text, gsize len);
/* How much of `text` the last word may take in before it has more than `max` bytes. */
gsize hearth_markdown_inline_room(const HearthMarkdownInline *self, const char *text, gsize len,
                                  gsize max);
/* `markup`: balanced. */
void hearth_markdown_inline_markup(HearthMarkdownInline *self, const char *markup);
/* What there is, or NULL when it is empty; open tags are closed and then open in what follows. */
char *hearth_markdown_inline_cut(HearthMarkdownInline *self);
/* The same at the end of the block: no tag stays open. */
char *hearth_markdown_inline_end(HearthMarkdownInline *self);

/* Appends text as Pango markup; what no font shows (control characters) is left out. */
void hearth_markdown_inline_escape(GString *out, const char *text, gsize len);
/* "&eacute;" and the like, or NULL. */
const char *hearth_markdown_inline_entity(const char *text, gsize len, char buffer[8]);

#endif
