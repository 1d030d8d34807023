/* What one line of Markdown is by itself: the tests that CommonMark's block structure asks of it.
 */
#ifndef HEARTH_MARKDOWN_LINE_H
#define HEARTH_MARKDOWN_LINE_H

#include <glib.h>
#include <stdbool.h>

typedef struct {
    const char *start, *end; /* end: before the line break */
    const char *first;       /* the first character that is no blank; end when there is none */
    int indent;              /* its column, tabs to multiples of 4 */
} HearthMarkdownLine;

HearthMarkdownLine hearth_markdown_line(const char *start, const char *end);
bool hearth_markdown_line_blank(const HearthMarkdownLine *line);
/* An opening fence: its character and length; false also for ` in the info string of a ` fence. */
bool hearth_markdown_line_fence(const HearthMarkdownLine *line, char *ret_char, int *ret_len);
bool hearth_markdown_line_closes(const HearthMarkdownLine *line, char fence, int len);
bool hearth_markdown_line_heading(const HearthMarkdownLine *line);
bool hearth_markdown_line_rule(const HearthMarkdownLine *line);
/* How many dashes, when the line is nothing else. */
int hearth_markdown_line_dashes(const HearthMarkdownLine *line);
/* A list marker; whether it may interrupt a paragraph (not empty, a bullet or number 1). */
bool hearth_markdown_line_item(const HearthMarkdownLine *line, bool *ret_interrupts);
/* Of a line that is a list item: the column where its content begins; 0 when it is empty, since
 * what belongs to it is then another matter. ret_marker: - + * . or ) */
int hearth_markdown_line_content(const HearthMarkdownLine *line, char *ret_marker);
/* The line without `>`, list markers and the blanks between them. */
HearthMarkdownLine hearth_markdown_line_inner(const HearthMarkdownLine *line);

#endif
