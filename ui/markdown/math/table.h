/* LaTeX's names of characters: what to show, and how it stands beside its neighbours. */
#ifndef HEARTH_MARKDOWN_MATH_TABLE_H
#define HEARTH_MARKDOWN_MATH_TABLE_H

#include <stddef.h>

typedef enum {
    HEARTH_MATH_NONE,
    HEARTH_MATH_ORDINARY, /* upright */
    HEARTH_MATH_VARIABLE, /* slanted */
    HEARTH_MATH_BINARY,
    HEARTH_MATH_RELATION,
    HEARTH_MATH_OPEN,
    HEARTH_MATH_CLOSE,
    HEARTH_MATH_PUNCTUATION,
    HEARTH_MATH_OPERATOR, /* ∑ */
    HEARTH_MATH_FUNCTION, /* sin */
    HEARTH_MATH_FRACTION,
    HEARTH_MATH_SPACE,
    HEARTH_MATH_ACCENT, /* a combining character */
} HearthMathClass;

typedef struct {
    const char *name, *text;
    HearthMathClass kind;
} HearthMarkdownSymbol;

extern const HearthMarkdownSymbol hearth_markdown_math_table[];
extern const size_t hearth_markdown_math_table_count;

#endif
