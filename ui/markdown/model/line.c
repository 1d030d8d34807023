#include "line.h"

HearthMarkdownLine hearth_markdown_line(const char *start, const char *end)
{
    HearthMarkdownLine line = {.start = start, .end = end};
    const char *p = start;
    for (; p < end && (*p == ' ' || *p == '\t' || *p == '\r'); p++)
        if (*p == '\t')
            line.indent += 4 - line.indent % 4;
        else if (*p == ' ')
            line.indent++;
    line.first = p;
    return line;
}

bool hearth_markdown_line_blank(const HearthMarkdownLine *line) { return line->first == line->end; }

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    return p;
}

static const char *skip_char(const char *p, const char *end, char c)
{
    while (p < end && *p == c) p++;
    return p;
}

bool hearth_markdown_line_fence(const HearthMarkdownLine *line, char *ret_char, int *ret_len)
{
    if (line->first == line->end || (*line->first != '`' && *line->first != '~')) return false;
    char c = *line->first;
    const char *p = skip_char(line->first, line->end, c);
    if (p - line->first < 3) return false;
    for (const char *q = p; c == '`' && q < line->end; q++)
        if (*q == '`') return false;
    *ret_char = c;
    *ret_len = (int)MIN(p - line->first, G_MAXINT);
    return true;
}

bool hearth_markdown_line_closes(const HearthMarkdownLine *line, char fence, int len)
{
    const char *p = skip_char(line->first, line->end, fence);
    return line->indent < 4 && p - line->first >= len && skip_blanks(p, line->end) == line->end;
}

bool hearth_markdown_line_heading(const HearthMarkdownLine *line)
{
    const char *p = skip_char(line->first, line->end, '#');
    gssize n = p - line->first;
    return n >= 1 && n <= 6 && (p == line->end || *p == ' ' || *p == '\t' || *p == '\r');
}

bool hearth_markdown_line_rule(const HearthMarkdownLine *line)
{
    if (line->first == line->end) return false;
    char c = *line->first;
    if (c != '*' && c != '-' && c != '_') return false;
    gsize n = 0;
    for (const char *p = line->first; p < line->end; p++) {
        if (*p == c)
            n++;
        else if (*p != ' ' && *p != '\t' && *p != '\r')
            return false;
    }
    return n >= 3;
}

int hearth_markdown_line_dashes(const HearthMarkdownLine *line)
{
    const char *p = skip_char(line->first, line->end, '-');
    return skip_blanks(p, line->end) == line->end ? (int)MIN(p - line->first, G_MAXINT) : 0;
}

/* Behind the marker, or NULL. */
static const char *marker_end(const char *p, const char *end, bool *ret_one)
{
    *ret_one = true;
    if (p == end) return NULL;
    if (*p == '-' || *p == '+' || *p == '*') {
        p++;
    } else {
        const char *digits = p;
        while (p < end && g_ascii_isdigit(*p)) p++;
        if (p == digits || p - digits > 9 || p == end || (*p != '.' && *p != ')')) return NULL;
        *ret_one = p - digits == 1 && *digits == '1';
        p++;
    }
    return p == end || *p == ' ' || *p == '\t' || *p == '\r' ? p : NULL;
}

bool hearth_markdown_line_item(const HearthMarkdownLine *line, bool *ret_interrupts)
{
    bool one;
    const char *p = marker_end(line->first, line->end, &one);
    *ret_interrupts = p && one && skip_blanks(p, line->end) != line->end;
    return p != NULL;
}

int hearth_markdown_line_content(const HearthMarkdownLine *line, char *ret_marker)
{
    bool one;
    const char *p = marker_end(line->first, line->end, &one);
    int column = line->indent + (int)(p - line->first), after = column;
    *ret_marker = p[-1];
    for (; p < line->end && (*p == ' ' || *p == '\t'); p++) after += *p == '\t' ? 4 - after % 4 : 1;
    if (p == line->end || *p == '\r') return 0;
    return after - column > 4 ? column + 1 : after;
}

HearthMarkdownLine hearth_markdown_line_inner(const HearthMarkdownLine *line)
{
    const char *p = line->first;
    for (bool one; p < line->end;) {
        const char *next = *p == '>' ? p + 1 : marker_end(p, line->end, &one);
        if (!next) break;
        p = skip_blanks(next, line->end);
    }
    HearthMarkdownLine inner = {line->start, line->end, p, 0};
    return inner;
}
