#include "scan_private.h"

#include <string.h>

#define MAX_INLINE 1000 /* bytes of a $…$ */

/* ---- copying ---- */

static void placeholder(GString *out, guint index)
{
    char digits[16];
    g_snprintf(digits, sizeof digits, "%u", index);
    g_string_append(out, "\xef\xb7\x90");
    for (const char *d = digits; *d; d++) {
        g_string_append_len(out, "\xef\xb7", 2);
        g_string_append_c(out, (char)(0x91 + *d - '0'));
    }
    g_string_append(out, "\xef\xb7\x9b");
}

const HearthMarkdownFormula *hearth_markdown_scan_formula(const GPtrArray *formulas, const char *at,
                                                          gsize len, gsize *ret_len)
{
    if (len < 3 || memcmp(at, "\xef\xb7\x90", 3) != 0) return NULL;
    guint index = 0;
    gsize i = 3;
    for (; i + 2 < len && (guchar)at[i] == 0xef && (guchar)at[i + 2] >= 0x91 &&
           (guchar)at[i + 2] <= 0x9a && index < 100000000;
         i += 3)
        index = index * 10 + (guchar)at[i + 2] - 0x91;
    if (len - i < 3 || memcmp(at + i, "\xef\xb7\x9b", 3) != 0 || index >= formulas->len)
        return NULL;
    *ret_len = i + 3;
    return formulas->pdata[index];
}

gsize hearth_markdown_scan_copy(HearthMarkdownScanner *s, gsize pos, gsize end)
{
    GString *out = s->scan->text;
    gsize from = pos;
    for (gsize i = pos; i < end; i++) {
        guchar c = (guchar)s->text[i];
        if (c != '\r' && c != 0xef && c != 0xf0 && c) continue;
        const char *instead = NULL;
        gsize used = 1;
        if (c == '\r') {
            instead = i + 1 < s->len && s->text[i + 1] == '\n' ? "" : " ";
        } else if (!c) {
            instead = "\xef\xbf\xbd";
        } else if (c == 0xef && s->len - i >= 3 && (guchar)s->text[i + 1] == 0xb7 &&
                   (guchar)s->text[i + 2] >= 0x90 && (guchar)s->text[i + 2] <= 0xaf) {
            instead = "\xef\xbf\xbd";
            used = 3;
        } else if (c == 0xf0 && s->len - i >= 4 && !memcmp(s->text + i, HEARTH_MARKDOWN_HINGE, 4)) {
            instead = "\xef\xb7\x9c";
            used = 4;
        }
        if (!instead) continue;
        g_string_append_len(out, s->text + from, (gssize)(i - from));
        g_string_append(out, instead);
        from = i + used;
        i = from - 1;
    }
    if (end > from) g_string_append_len(out, s->text + from, (gssize)(end - from));
    return end;
}

/* ---- where the paragraph ends ---- */

void hearth_markdown_scan_end_paragraph(HearthMarkdownScanner *s)
{
    s->code_until = 0; /* paragraph_end stays: it does not depend on where one asks */
    s->strong = false;
}

static gsize paragraph_end(HearthMarkdownScanner *s, gsize pos)
{
    if (s->single) return s->single_end;
    if (s->paragraph_end > pos) return s->paragraph_end;
    for (gsize at = pos;;) {
        const char *line_break = memchr(s->text + at, '\n', s->len - at);
        if (!line_break) break;
        at = (gsize)(line_break - s->text) + 1;
        const char *next = memchr(s->text + at, '\n', s->len - at);
        if (!next) break; /* an unfinished line says nothing yet */
        HearthMarkdownLine line = hearth_markdown_line(s->text + at, next);
        while (line.first < line.end && strchr("> \t\r", *line.first)) line.first++;
        char fence;
        int len;
        if (hearth_markdown_line_blank(&line) || hearth_markdown_line_fence(&line, &fence, &len))
            return s->paragraph_end = at;
    }
    return s->paragraph_end = s->len;
}

/* The closer is not there: it is not searched again, and while the text grows it may yet come. */
static gsize missing(HearthMarkdownScanner *s, int kind, gsize end)
{
    s->missing[kind] = end;
    if (end == s->len) s->open_until = end;
    return 0;
}

/* What closes in the last line may be taken back: a backtick may follow, the line may become a
 * fence. */
static void may_yet_change(HearthMarkdownScanner *s, gsize pos)
{
    if (pos >= s->last_line) s->open_until = s->len;
}

/* Where `closer` begins at or behind `pos`, in the paragraph; 0: nowhere. Backslashes quote. */
static gsize find_closer(HearthMarkdownScanner *s, int kind, const char *closer, gsize pos)
{
    gsize end = paragraph_end(s, pos), n = strlen(closer);
    if (s->missing[kind] == end) return 0;
    for (gsize i = pos; i + n <= end; i++) {
        if (s->text[i] == *closer && memcmp(s->text + i, closer, n) == 0) {
            may_yet_change(s, i);
            return i;
        }
        if (s->text[i] == '\\') i++;
    }
    return missing(s, kind, end);
}

/* ---- formulas ---- */

typedef struct {
    gsize start, end; /* of the whole, in the text */
    gsize inner, inner_end;
    bool display;
} Found;

static bool at_line_start(const HearthMarkdownScanner *s, gsize line, gsize pos)
{
    HearthMarkdownLine head = hearth_markdown_line(s->text + line, s->text + pos);
    HearthMarkdownLine inner = hearth_markdown_line_inner(&head);
    return inner.first == inner.end;
}

static bool has_formula_sign(const char *p, gsize n)
{
    for (gsize i = 0; i < n; i++)
        if (strchr("\\^_=+{}<>*/|-", p[i]) && p[i]) return true;
    return false;
}

/* "$5 and $6", "$5 million and the US$": no formulas. */
static bool is_money(const char *p, gsize n)
{
    if (!g_ascii_isdigit(*p) || has_formula_sign(p, n)) return false;
    for (gsize i = 0; i + 1 < n; i++)
        if (g_ascii_isalpha(p[i]) && g_ascii_isalpha(p[i + 1])) return true;
    return false;
}

static bool find_dollar(HearthMarkdownScanner *s, gsize line, gsize pos, Found *ret)
{
    const char *t = s->text;
    gsize end = MIN(paragraph_end(s, pos), pos + MAX_INLINE);
    bool row = t[line] == '|';
    if (pos > 0 && (g_ascii_isalnum(t[pos - 1]) || t[pos - 1] == '$')) return false;
    if (pos + 1 < end && g_ascii_isspace(t[pos + 1])) return false;
    gsize i = pos + 1;
    for (; i < end && t[i] != '$'; i++) {
        if (t[i] == '`' || (row && t[i] == '\n')) return false;
        if (t[i] == '\\') i++;
    }
    if (i >= end) {
        if (end == s->len) s->open_until = end;
        return false;
    }
    gsize n = i - pos - 1;
    if (!n || g_ascii_isspace(t[i - 1]) || is_money(t + pos + 1, n)) return false;
    if (i + 1 < s->len && g_ascii_isdigit(t[i + 1])) return false;
    if (i + 1 == s->len) s->open_until = s->len; /* a digit may follow */
    *ret = (Found){pos, i + 1, pos + 1, i, false};
    return true;
}

static bool find_delimited(HearthMarkdownScanner *s, gsize line, gsize pos, int kind,
                           const char *closer, Found *ret)
{
    gsize at = find_closer(s, kind, closer, pos + 2);
    bool starts = at_line_start(s, line, pos), display = kind != CLOSER_PAREN;
    if (!at) {
        if (s->complete || !display || !starts || paragraph_end(s, pos) != s->len) return false;
        *ret = (Found){pos, s->len, pos + 2, s->len, true};
        s->open_until = s->len;
        return true;
    }
    gsize n = at - pos - 2;
    bool line_break = memchr(s->text + pos, '\n', at - pos) != NULL;
    if (!n || (line_break && s->text[line] == '|')) return false;
    /* see \[1\]: brackets that are only quoted */
    if (kind == CLOSER_BRACKET && !starts && !has_formula_sign(s->text + pos + 2, n)) return false;
    *ret = (Found){pos, at + 2, pos + 2, at, display};
    return true;
}

static bool find_environment(HearthMarkdownScanner *s, gsize line, gsize pos, Found *ret)
{
    static const char *const known[] = {"align",    "align*",    "aligned", "equation", "equation*",
                                        "gather",   "gather*",   "cases",   "matrix",   "pmatrix",
                                        "bmatrix",  "vmatrix",   "array",   "split",    "multline",
                                        "eqnarray", "multline*", NULL};
    if (!at_line_start(s, line, pos)) return false;
    const char *name = s->text + pos + 7;
    const char *brace = memchr(name, '}', MIN(s->len - pos - 7, 12));
    if (!brace) return false;
    g_autofree char *word = g_strndup(name, (gsize)(brace - name));
    if (!g_strv_contains(known, word)) return false;
    g_autofree char *closer = g_strconcat("\\end{", word, "}", NULL);
    gsize end = paragraph_end(s, pos);
    if (s->missing[CLOSER_END] == end) return false;
    const char *at = g_strstr_len(s->text + pos, (gssize)(end - pos), closer);
    if (at) {
        gsize behind = (gsize)(at - s->text) + strlen(closer);
        *ret = (Found){pos, behind, pos, behind, true};
        return true;
    }
    missing(s, CLOSER_END, end);
    if (s->complete || end != s->len) return false;
    *ret = (Found){pos, s->len, pos, s->len, true};
    return true;
}

/* A formula that begins at `pos`, a $ or a backslash. */
static bool find_formula(HearthMarkdownScanner *s, gsize line, gsize pos, Found *ret)
{
    const char *t = s->text;
    char next = pos + 1 < s->len ? t[pos + 1] : 0;
    if (t[pos] == '$')
        return next == '$' ? find_delimited(s, line, pos, CLOSER_DOLLARS, "$$", ret)
                           : find_dollar(s, line, pos, ret);
    if (next == '[') return find_delimited(s, line, pos, CLOSER_BRACKET, "\\]", ret);
    if (next == '(') return find_delimited(s, line, pos, CLOSER_PAREN, "\\)", ret);
    if (s->len - pos > 7 && memcmp(t + pos, "\\begin{", 7) == 0)
        return find_environment(s, line, pos, ret);
    return false;
}

static void add_formula(HearthMarkdownScanner *s, gsize line, const Found *found)
{
    HearthMarkdownFormula *formula = g_new0(HearthMarkdownFormula, 1);
    GString *source = g_string_new(NULL);
    HearthMarkdownLine head = hearth_markdown_line(s->text + line, s->text + found->start);
    bool quoted = head.first < head.end && *head.first == '>';
    for (gsize i = found->inner; i < found->inner_end; i++) {
        char c = s->text[i];
        if (c != '\r') g_string_append_c(source, c ? c : ' ');
        if (c == '\n' && quoted)
            while (i + 1 < found->inner_end && strchr("> ", s->text[i + 1])) i++;
    }
    formula->source = g_string_free(source, FALSE);
    formula->verbatim = g_strndup(s->text + found->start, found->end - found->start);
    formula->display = found->display;
    g_ptr_array_add(s->scan->formulas, formula);
    placeholder(s->scan->text, s->scan->formulas->len - 1);
}

/* ---- code spans and emphasis ---- */

static gsize run_length(const HearthMarkdownScanner *s, gsize pos, gsize end)
{
    gsize n = 0;
    while (pos + n < end && s->text[pos + n] == s->text[pos]) n++;
    return n;
}

/* Behind the code span that begins at `pos`, or behind its backticks when it is none. */
static gsize skip_code(HearthMarkdownScanner *s, gsize pos)
{
    gsize end = paragraph_end(s, pos), n = run_length(s, pos, end);
    if (n >= CLOSER_COUNT - CLOSER_BACKTICKS) return pos + n;
    int kind = CLOSER_BACKTICKS + (int)n;
    if (s->missing[kind] == end) return pos + n;
    for (gsize i = pos + n; i < end; i++) {
        const char *tick = memchr(s->text + i, '`', end - i);
        if (!tick) break;
        i = (gsize)(tick - s->text);
        gsize m = run_length(s, i, end);
        if (m == n) {
            may_yet_change(s, i);
            return i + n;
        }
        i += m;
    }
    missing(s, kind, end);
    return pos + n;
}

static bool is_mark(gunichar c) { return c && !g_unichar_isspace(c) && g_unichar_ispunct(c); }
static bool is_letter(gunichar c) { return c && !g_unichar_isspace(c) && !g_unichar_ispunct(c); }

/* Stars between a mark and a letter, one of them not ASCII: says on which side the hinge goes. */
static gsize copy_stars(HearthMarkdownScanner *s, gsize pos, gsize end)
{
    gsize n = run_length(s, pos, end);
    const char *t = s->text;
    gunichar before = pos > 0 ? g_utf8_get_char(g_utf8_prev_char(t + pos)) : 0;
    gunichar after = pos + n < s->len ? g_utf8_get_char(t + pos + n) : 0;
    bool wide = before >= 0x2e80 || after >= 0x2e80 || before >= 0x2010 || after >= 0x2010;
    bool opener = !s->strong && is_letter(before) && is_mark(after);
    bool closer = s->strong && is_mark(before) && is_letter(after);
    if (n >= 2 && n <= 3) s->strong = !s->strong;
    if (n < 4 && wide && opener) g_string_append(s->scan->text, HEARTH_MARKDOWN_HINGE);
    hearth_markdown_scan_copy(s, pos, pos + n);
    if (n < 4 && wide && closer) g_string_append(s->scan->text, HEARTH_MARKDOWN_HINGE);
    return pos + n;
}

gsize hearth_markdown_scan_line(HearthMarkdownScanner *s, gsize pos, gsize end)
{
    gsize line = pos, from = pos;
    Found found;
    s->single_end = MIN(end + 1, s->len);
    for (gsize i = MAX(pos, MIN(s->code_until, end)); i < end;) {
        char c = s->text[i];
        if (c == '`') {
            s->code_until = skip_code(s, i);
            i = MIN(s->code_until, end);
        } else if (c == '*') {
            hearth_markdown_scan_copy(s, from, i);
            i = from = copy_stars(s, i, end);
        } else if ((c == '$' || c == '\\') && find_formula(s, line, i, &found)) {
            hearth_markdown_scan_copy(s, from, i);
            add_formula(s, line, &found);
            i = from = found.end;
            if (i > end) {
                const char *line_break = memchr(s->text + i, '\n', s->len - i);
                end = line_break ? (gsize)(line_break - s->text) : s->len;
            }
        } else if (c == '$') {
            i += run_length(s, i, end);
        } else {
            i += c == '\\' ? 2 : 1;
        }
    }
    return hearth_markdown_scan_copy(s, from, MIN(end + 1, s->len));
}
