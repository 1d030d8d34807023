#include "scan_private.h"

#include <string.h>

/* Top-level state. LIST with content 0 also stands for "unsure": it lets the fewest lines begin a
 * block. LOST lets none. */
typedef enum { NOTHING, PARAGRAPH, FENCE, INDENTED, QUOTE, LIST, LOST } State;

typedef struct {
    HearthMarkdownScanner s;
    State state;
    char fence;
    int fence_len;
    bool inner;       /* in a fence inside of a list or a quote; fence and fence_len are its */
    bool began;       /* a block, with this line */
    bool blank;       /* the line before was */
    bool after_blank; /* in a list: no other line came since a blank one */
    int content;      /* the column from which a line belongs to the list's item; 0: not known */
    char marker;      /* of the list's items: - + * . ) */
} Blocks;

static void begin_block(Blocks *b, const HearthMarkdownLine *line)
{
    HearthMarkdownScanner *s = &b->s;
    /* Which changes nothing, but md4c 0.4.8 takes a fence behind a table for a row of it. */
    if (!b->blank && s->scan->text->len) g_string_append_c(s->scan->text, '\n');
    b->inner = b->after_blank = false;
    b->began = true;
    hearth_markdown_scan_end_paragraph(s);
    if (!s->open_until || s->complete) {
        s->scan->stable = (gsize)(line->start - s->text);
        s->scan->stable_text = s->scan->text->len;
    }
}

/* A fence inside: opened or closed by this line? Its lines are no text. */
static bool inner_text(Blocks *b, const HearthMarkdownLine *line)
{
    HearthMarkdownLine inner = hearth_markdown_line_inner(line);
    if (b->inner) {
        b->inner = !hearth_markdown_line_closes(&inner, b->fence, b->fence_len);
        return false;
    }
    b->inner = hearth_markdown_line_fence(&inner, &b->fence, &b->fence_len);
    return !b->inner;
}

/* The line begins a block: which one? Returns whether formulas are to be looked for in it. */
static bool open_block(Blocks *b, const HearthMarkdownLine *line)
{
    bool interrupts;
    if (line->indent >= 4) {
        b->state = INDENTED;
        return false;
    }
    if (hearth_markdown_line_fence(line, &b->fence, &b->fence_len)) {
        b->state = FENCE;
        return false;
    }
    if (hearth_markdown_line_heading(line) || hearth_markdown_line_rule(line)) {
        b->state = NOTHING;
        b->s.single = true;
    } else if (*line->first == '>') {
        b->state = QUOTE;
        return inner_text(b, line);
    } else if (hearth_markdown_line_item(line, &interrupts)) {
        b->state = LIST;
        b->content = hearth_markdown_line_content(line, &b->marker);
        return inner_text(b, line);
    } else {
        b->state = PARAGRAPH;
    }
    return true;
}

static void be_unsure(Blocks *b)
{
    b->state = LIST;
    b->content = 0;
}

static bool is_fence(const HearthMarkdownLine *line)
{
    char fence;
    int len;
    return hearth_markdown_line_fence(line, &fence, &len);
}

/* Text by its column, as far as CommonMark goes; md4c 0.4.8 takes a fence there for one. */
static bool continues(Blocks *b, const HearthMarkdownLine *line)
{
    if (line->indent < 4) return false;
    if (is_fence(line)) b->state = LOST;
    return true;
}

/* Lines that begin a block wherever the one before stands; not the dashes, which may underline. */
static bool interrupts_all(const HearthMarkdownLine *line)
{
    return is_fence(line) || hearth_markdown_line_heading(line) ||
           (hearth_markdown_line_rule(line) && !hearth_markdown_line_dashes(line));
}

static bool in_paragraph(Blocks *b, const HearthMarkdownLine *line, bool whole)
{
    bool interrupts;
    if (continues(b, line)) return true;
    if (hearth_markdown_line_dashes(line) > 2) {
        b->state = whole ? NOTHING : PARAGRAPH;
        return true;
    }
    /* Underlines, or what follows one or a table: text, an empty item. */
    if (hearth_markdown_line_dashes(line) || *line->first == '=') {
        be_unsure(b);
        return true;
    }
    bool item = hearth_markdown_line_item(line, &interrupts);
    if (whole && (interrupts_all(line) || *line->first == '>' || interrupts)) {
        begin_block(b, line);
        return open_block(b, line);
    }
    if (item) be_unsure(b); /* a table's end, or text */
    return true;
}

static bool in_quote(Blocks *b, const HearthMarkdownLine *line, bool whole)
{
    bool interrupts;
    if (line->indent < 4 && *line->first == '>') return inner_text(b, line);
    bool unclosed = b->inner;
    b->inner = false;
    be_unsure(b);
    if (continues(b, line) || !whole || hearth_markdown_line_item(line, &interrupts)) return true;
    if (unclosed && *line->first == b->fence) {
        b->state = LOST;
        return true;
    }
    if (hearth_markdown_line_dashes(line) > 2) {
        b->state = NOTHING;
    } else if (interrupts_all(line)) {
        begin_block(b, line);
        return open_block(b, line);
    }
    return true;
}

/* Whether the beginning of a line tells that it is text, whatever follows. */
static bool surely_text(const HearthMarkdownLine *line)
{
    return !strchr("-+*_=#`~>|", *line->first) && !g_ascii_isdigit(*line->first);
}

/* Whether the line is inside of the list's item, as far as its column tells. */
static bool in_item(Blocks *b, const HearthMarkdownLine *line)
{
    if (b->content && line->indent >= b->content) return true;
    /* Of the unsure list's item, or a fence of its own? And md4c 0.4.8 may take one that follows a
     * fence which the item left open for that one's end. */
    if ((line->indent >= (b->content ? 4 : 2) && is_fence(line)) ||
        (b->inner && *line->first == b->fence))
        b->state = LOST;
    return line->indent >= 2 && !b->content;
}

static bool in_list(Blocks *b, const HearthMarkdownLine *line, bool whole)
{
    bool interrupts, after_blank = b->after_blank;
    b->after_blank = false;
    if (in_item(b, line)) return inner_text(b, line);
    b->inner = false;
    if (b->state == LOST) return true;
    if (!whole && !(after_blank && surely_text(line))) return true;
    if (hearth_markdown_line_dashes(line) > 2 && !after_blank) {
        b->state = NOTHING;
        return true;
    }
    bool rule = hearth_markdown_line_rule(line);
    bool item = !rule && line->indent < 4 && hearth_markdown_line_item(line, &interrupts);
    if (line->indent < 4 && (interrupts_all(line) || (after_blank && !item))) {
        begin_block(b, line);
        return open_block(b, line);
    }
    char marker;
    if (!item)
        be_unsure(b); /* the item's text going on, or not */
    else if (hearth_markdown_line_content(line, &marker) && marker == b->marker && b->content)
        b->content = hearth_markdown_line_content(line, &marker);
    else
        b->content = 0;
    return inner_text(b, line);
}

/* Whether the line is text, that may have formulas. `whole`: its end is known. */
static bool next_line(Blocks *b, const HearthMarkdownLine *line, bool whole)
{
    if (b->state == FENCE) {
        if (whole && hearth_markdown_line_closes(line, b->fence, b->fence_len)) b->state = NOTHING;
        return false;
    }
    if (hearth_markdown_line_blank(line)) {
        if (!whole) return false;
        if (!b->inner) hearth_markdown_scan_end_paragraph(&b->s);
        if (b->state == PARAGRAPH || b->state == QUOTE) {
            b->state = NOTHING;
            b->inner = false;
        }
        b->after_blank = true;
        return false;
    }
    switch (b->state) {
    case PARAGRAPH: return in_paragraph(b, line, whole);
    case QUOTE: return in_quote(b, line, whole);
    case LIST: return in_list(b, line, whole);
    case LOST: return true;
    case INDENTED:
        if (line->indent >= 4) return false;
        break;
    case NOTHING:
    case FENCE: break;
    }
    begin_block(b, line);
    return open_block(b, line);
}

/* ```a`b is no fence; without the second backtick it would be one. */
static bool has_ticks(const HearthMarkdownLine *line)
{
    HearthMarkdownLine inner = hearth_markdown_line_inner(line);
    return inner.end - inner.first >= 3 && memcmp(inner.first, "```", 3) == 0;
}

/* |-|:-| under a line with a bar: of a table, for GitHub and for models; md4c 0.4.8 wants each cell
 * to have three characters. Returns whether the line was that, and was written so. */
static bool write_delimiters(GString *out, const HearthMarkdownLine *line, const char *text)
{
    HearthMarkdownLine inner = hearth_markdown_line_inner(line);
    bool bar = false, dash = false;
    for (const char *p = inner.first; p < inner.end; p++) {
        if (!strchr("|-: \t\r", *p) || !*p) return false;
        bar |= *p == '|';
        dash |= *p == '-';
    }
    const char *above = line->start > text ? line->start - 1 : text;
    bool has_bar = false;
    while (above > text && above[-1] != '\n') has_bar |= *--above == '|';
    if (!bar || !dash || !has_bar) return false;
    g_string_append_len(out, line->start, inner.first - line->start);
    for (const char *p = inner.first; p < inner.end;) {
        gsize n = strspn(p, "-"); /* the text goes on behind the line, with a line break */
        if (n)
            g_string_append_len(out, n < 3 ? "---" : p, (gssize)MAX(n, 3));
        else if (*p != '\r')
            g_string_append_c(out, *p);
        p += MAX(n, 1);
    }
    return true;
}

static void free_formula(gpointer data)
{
    HearthMarkdownFormula *formula = data;
    g_free(formula->source);
    g_free(formula->verbatim);
    g_free(formula);
}

void hearth_markdown_scan_init(HearthMarkdownScan *scan, const char *text, gsize len, bool complete)
{
    memset(scan, 0, sizeof *scan);
    scan->text = g_string_sized_new(len + len / 16 + 16);
    scan->formulas = g_ptr_array_new_with_free_func(free_formula);
    Blocks b = {.s = {.scan = scan, .text = text, .len = len, .complete = complete}};
    for (b.s.last_line = len; b.s.last_line > 0 && text[b.s.last_line - 1] != '\n';)
        b.s.last_line--;
    for (gsize pos = 0; pos < len;) {
        const char *line_break = memchr(text + pos, '\n', len - pos);
        gsize end = line_break ? (gsize)(line_break - text) : len;
        HearthMarkdownLine line = hearth_markdown_line(text + pos, text + end);
        b.s.single = b.began = false;
        bool fence = b.state == FENCE;
        bool is_text = next_line(&b, &line, line_break != NULL) && !has_ticks(&line);
        bool blank = hearth_markdown_line_blank(&line);
        if (blank && b.blank && b.state == LIST && !b.inner && line_break) {
            /* md4c 0.4.8 ends some items at a second blank line. */
            pos = end + 1;
            continue;
        }
        b.blank = blank;
        if (fence && b.state != FENCE) {
            /* md4c 0.4.8 does not see a closing fence with a tab behind it. */
            g_string_append_len(scan->text, line.first, strspn(line.first, (char[]){b.fence, 0}));
            g_string_append_c(scan->text, '\n');
            pos = end + 1;
            continue;
        }
        if (is_text && line_break && !b.began && write_delimiters(scan->text, &line, text)) {
            g_string_append_c(scan->text, '\n');
            pos = end + 1;
            continue;
        }
        pos = is_text ? hearth_markdown_scan_line(&b.s, pos, end)
                      : hearth_markdown_scan_copy(&b.s, pos, MIN(end + 1, len));
    }
}

void hearth_markdown_scan_clear(HearthMarkdownScan *scan)
{
    if (scan->text) g_string_free(scan->text, TRUE);
    g_clear_pointer(&scan->formulas, g_ptr_array_unref);
    memset(scan, 0, sizeof *scan);
}
