/* What a Markdown text consists of, as plain data: a tree of blocks, the texts in it already Pango
 * markup (the tags b, i, s, tt, sub, sup, span and, for GtkLabel, a; everything from the source is
 * escaped). No GTK here: parse.c makes the tree, build.c makes widgets of it.
 *
 * A block does not change after parse.c has handed it over, and is shared by reference. The depth
 * of the tree is bounded (HEARTH_MARKDOWN_DEPTH), so walking it may recurse. */
#ifndef HEARTH_MARKDOWN_BLOCK_H
#define HEARTH_MARKDOWN_BLOCK_H

#include <glib.h>
#include <stdbool.h>

/* Lists and quotes inside each other; deeper ones are flattened. */
#define HEARTH_MARKDOWN_DEPTH 8

typedef enum {
    HEARTH_BLOCK_PARAGRAPH, /* markup */
    HEARTH_BLOCK_HEADING,   /* markup, level 1 … 6 */
    HEARTH_BLOCK_MATH,      /* markup; a formula on lines of its own */
    HEARTH_BLOCK_CODE,      /* text, info */
    HEARTH_BLOCK_TABLE,     /* columns, aligns, cells: row by row, the first one is the header */
    HEARTH_BLOCK_RULE,
    HEARTH_BLOCK_QUOTE, /* children */
    HEARTH_BLOCK_LIST,  /* children: items; ordered, start, tight */
    HEARTH_BLOCK_ITEM,  /* children; task */
} HearthMarkdownKind;

typedef enum { HEARTH_BLOCK_NO_TASK, HEARTH_BLOCK_OPEN, HEARTH_BLOCK_DONE } HearthMarkdownTask;

typedef struct HearthMarkdownBlock HearthMarkdownBlock;
struct HearthMarkdownBlock {
    HearthMarkdownKind kind;
    int refs;
    int level;
    unsigned start; /* number of the first item */
    bool ordered, tight;
    bool joined; /* goes on where the paragraph before it was cut for its length */
    HearthMarkdownTask task;
    char *markup;
    char *text; /* code, with its last line break */
    gsize text_len;
    char *info;          /* the words behind the fence, or NULL */
    GPtrArray *children; /* of HearthMarkdownBlock, or NULL */
    unsigned columns;
    char *aligns;     /* per column: 'l' 'c' 'r', or '-' where the source says nothing */
    GPtrArray *cells; /* of char *: markup */
};

HearthMarkdownBlock *hearth_markdown_block_new(HearthMarkdownKind kind);
HearthMarkdownBlock *hearth_markdown_block_ref(HearthMarkdownBlock *block);
void hearth_markdown_block_unref(HearthMarkdownBlock *block);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthMarkdownBlock, hearth_markdown_block_unref)

GPtrArray *hearth_markdown_block_list_new(void); /* that owns a reference to each block in it */
bool hearth_markdown_block_equal(const HearthMarkdownBlock *a, const HearthMarkdownBlock *b);
bool hearth_markdown_block_list_equal(const GPtrArray *a, const GPtrArray *b);
/* How many characters the widest text of a table's column has, and whether a text reads right to
 * left, are asked of the text without its tags. */
char *hearth_markdown_block_strip(const char *markup);

#endif
