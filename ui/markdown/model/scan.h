/* What happens to a text before md4c sees it, line by line:
 *
 * Formulas ($…$, $$…$$, \(…\), \[…\], \begin{align}…) are taken out, because Markdown would read
 * their stars, bars and backslashes as its own, and a placeholder goes in: U+FDD0, digits from
 * U+FDD1 on, U+FDDB. What the source has of these noncharacters becomes U+FFFD, so that nothing
 * can be forged. A placeholder that turns up in code gets its source back (parse.c): the search
 * for formulas need not know exactly what code is.
 *
 * The last place is found before which nothing can change any more, whatever follows: the start
 * of a top-level block. Only link definitions reach over it. It is never too late a place, but
 * may be too early (a list is one block; what is uncertain waits for a blank line).
 *
 * And emphasis next to Chinese: CommonMark does not close **注意：** before a letter. Such a
 * delimiter gets HEARTH_MARKDOWN_HINGE beside it, punctuation that parse.c drops. */
#ifndef HEARTH_MARKDOWN_SCAN_H
#define HEARTH_MARKDOWN_SCAN_H

#include <glib.h>
#include <stdbool.h>

/* U+10A50; one in the source travels as U+FDDC. */
#define HEARTH_MARKDOWN_HINGE "\xf0\x90\xa9\x90"

typedef struct {
    char *source;   /* without the delimiters */
    char *verbatim; /* with them: what code gets back */
    bool display;
} HearthMarkdownFormula;

typedef struct {
    GString *text;       /* for md4c */
    GPtrArray *formulas; /* of HearthMarkdownFormula */
    gsize stable;      /* in what was scanned: where the last block begins; 0: nothing is certain */
    gsize stable_text; /* the same place in `text` */
} HearthMarkdownScan;

/* `complete`: nothing follows, so what is open stays what it is. Otherwise an open display formula
 * at the end is taken as one. */
void hearth_markdown_scan_init(HearthMarkdownScan *scan, const char *text, gsize len,
                               bool complete);
void hearth_markdown_scan_clear(HearthMarkdownScan *scan);
/* The formula whose placeholder begins at `at`, and the placeholder's length; NULL: none does. */
const HearthMarkdownFormula *hearth_markdown_scan_formula(const GPtrArray *formulas, const char *at,
                                                          gsize len, gsize *ret_len);

#endif
