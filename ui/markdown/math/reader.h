/* The reader of formulas, in three files: math.c reads atoms with their scripts and knows the space
 * between them, command.c what takes arguments, grid.c the environments.
 *
 * Reading never fails and never goes back: each function takes what is there and stops at the end.
 * Depth is bounded, and so is the length of a source; every piece of markup is balanced. */
#ifndef HEARTH_MARKDOWN_MATH_PRIVATE_H
#define HEARTH_MARKDOWN_MATH_PRIVATE_H

#include <glib.h>
#include <stdbool.h>

#include "table.h"

#define HEARTH_MATH_DEPTH 30

typedef enum {
    HEARTH_MATH_SLANTED,
    HEARTH_MATH_UPRIGHT,
    HEARTH_MATH_BLACKBOARD,
    HEARTH_MATH_SCRIPT,
    HEARTH_MATH_FRAKTUR,
} HearthMathStyle;

typedef struct {
    const char *p, *end;
    int depth;
    int scripts; /* inside of how many scripts */
    int lefts;   /* \left without its \right */
    HearthMathStyle style;
    bool display;
    bool stack;   /* the only matrix of a display formula: its rows may be lines */
    bool in_cell; /* & and \\ end what is being read */
} HearthMath;

/* A row of atoms while it is written. */
typedef struct {
    GString *out;
    HearthMathClass last;
    int atoms;
    int brackets;
    bool composite; /* has a + or = outside of brackets */
    bool tight;     /* in a script: no space around + and = */
    bool newline;   /* before the next atom */
} HearthMathRow;

void hearth_markdown_math_row_init(HearthMathRow *row, bool tight);
void hearth_markdown_math_put(HearthMathRow *row, HearthMathClass kind, const char *markup);
/* Atoms up to a closing brace, or what else ends the place. */
void hearth_markdown_math_list(HearthMath *m, HearthMathRow *row);
/* The next {…} or single atom, into an initialised row. */
void hearth_markdown_math_argument(HearthMath *m, HearthMathRow *row);
/* The same as source, without braces; for \text{…} and names. */
void hearth_markdown_math_raw(HearthMath *m, const char **ret_start, const char **ret_end);
void hearth_markdown_math_skip_space(HearthMath *m);
/* A delimiter behind \left, \right, \middle. */
const char *hearth_markdown_math_delimiter(HearthMath *m);
void hearth_markdown_math_letter(HearthMath *m, GString *out, gunichar c);
void hearth_markdown_math_newline(HearthMath *m, HearthMathRow *row);

/* The command that was just read: its nucleus goes to `out`; NONE: it is done already, or nothing
 * is to be shown. */
HearthMathClass hearth_markdown_math_command(HearthMath *m, HearthMathRow *row, const char *name,
                                             GString *out);
/* Behind \begin. */
HearthMathClass hearth_markdown_math_grid(HearthMath *m, HearthMathRow *row, GString *out);

#endif
