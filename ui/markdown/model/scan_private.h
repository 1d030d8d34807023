/* The two halves of the scanner: scan.c walks over lines and knows where blocks begin,
 * scan_line.c walks over the characters of text lines and takes the formulas out. */
#ifndef HEARTH_MARKDOWN_SCAN_PRIVATE_H
#define HEARTH_MARKDOWN_SCAN_PRIVATE_H

#include "line.h"
#include "scan.h"

enum {
    CLOSER_DOLLARS,
    CLOSER_BRACKET,
    CLOSER_PAREN,
    CLOSER_END,
    CLOSER_BACKTICKS,
    CLOSER_COUNT = 36
};

typedef struct {
    HearthMarkdownScan *scan;
    const char *text;
    gsize len;
    bool complete;
    gsize last_line;     /* where it begins: behind the last line break */
    gsize paragraph_end; /* no formula and no code span goes over it; 0: to be found */
    bool single;         /* a heading: nothing goes over its line … */
    gsize single_end;    /* … which ends here */
    gsize code_until;    /* the end of a code span that goes over lines */
    /* The paragraph's end, when this closer is not in the rest of it: nothing is searched twice. */
    gsize missing[CLOSER_COUNT];
    gsize open_until; /* the text's end, while a formula may still be closed by what follows */
    bool strong;      /* in an odd ** of the paragraph */
} HearthMarkdownScanner;

/* Each copies from `pos` on and returns where to go on: behind a line break. scan_line takes in
 * further lines when a formula does. */
gsize hearth_markdown_scan_copy(HearthMarkdownScanner *s, gsize pos, gsize end);
gsize hearth_markdown_scan_line(HearthMarkdownScanner *s, gsize pos, gsize end);
void hearth_markdown_scan_end_paragraph(HearthMarkdownScanner *s);

#endif
