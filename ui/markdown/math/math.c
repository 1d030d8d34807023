#include "math.h"

#include <string.h>

#include "markdown/model/inline.h"
#include "reader.h"

#define MAX_SOURCE 8000
#define MAX_SCRIPTS 4
#define THIN "\xe2\x80\x89"

/* ---- rows ---- */

void hearth_markdown_math_row_init(HearthMathRow *row, bool tight)
{
    memset(row, 0, sizeof *row);
    row->out = g_string_new(NULL);
    row->tight = tight;
}

static bool is_word(HearthMathClass kind)
{
    return kind == HEARTH_MATH_ORDINARY || kind == HEARTH_MATH_VARIABLE ||
           kind == HEARTH_MATH_FRACTION || kind == HEARTH_MATH_FUNCTION ||
           kind == HEARTH_MATH_OPERATOR;
}

static const char *space_between(HearthMathClass a, HearthMathClass b, bool tight)
{
    if (a == HEARTH_MATH_NONE || a == HEARTH_MATH_SPACE || b == HEARTH_MATH_SPACE) return "";
    if (a == HEARTH_MATH_FUNCTION && is_word(b)) return THIN;
    if (b == HEARTH_MATH_FUNCTION && (is_word(a) || a == HEARTH_MATH_CLOSE)) return THIN;
    if (tight) return "";
    if (a == HEARTH_MATH_RELATION) return b == HEARTH_MATH_RELATION ? "" : " ";
    if (b == HEARTH_MATH_RELATION) return " ";
    if (a == HEARTH_MATH_BINARY || b == HEARTH_MATH_BINARY) return " ";
    if (a == HEARTH_MATH_PUNCTUATION) return b == HEARTH_MATH_CLOSE ? "" : " ";
    if (a == HEARTH_MATH_OPERATOR && (is_word(b) || b == HEARTH_MATH_OPEN)) return THIN;
    if (b == HEARTH_MATH_OPERATOR && (is_word(a) || a == HEARTH_MATH_CLOSE)) return THIN;
    if (a == HEARTH_MATH_FRACTION && (is_word(b) || b == HEARTH_MATH_OPEN)) return THIN;
    if (b == HEARTH_MATH_FRACTION && (is_word(a) || a == HEARTH_MATH_CLOSE)) return THIN;
    return "";
}

/* A sign before a number is no operation. */
static bool is_sign(HearthMathClass last)
{
    return last == HEARTH_MATH_NONE || last == HEARTH_MATH_BINARY || last == HEARTH_MATH_RELATION ||
           last == HEARTH_MATH_OPEN || last == HEARTH_MATH_PUNCTUATION ||
           last == HEARTH_MATH_SPACE || last == HEARTH_MATH_OPERATOR;
}

void hearth_markdown_math_put(HearthMathRow *row, HearthMathClass kind, const char *markup)
{
    if (kind == HEARTH_MATH_NONE) return;
    if (row->newline && row->out->len) {
        g_string_append_c(row->out, '\n');
        row->last = HEARTH_MATH_NONE;
    }
    row->newline = false;
    HearthMathClass last = row->last;
    bool sign = kind == HEARTH_MATH_BINARY && is_sign(last);
    if (sign) {
        /* "= −x": the space of the relation stays, none follows the sign. */
        g_string_append(row->out, space_between(last, HEARTH_MATH_ORDINARY, row->tight));
        row->last = HEARTH_MATH_NONE;
    } else {
        g_string_append(row->out, space_between(last, kind, row->tight));
        row->last = kind;
    }
    g_string_append(row->out, markup);
    if (kind == HEARTH_MATH_SPACE) return;
    row->brackets += kind == HEARTH_MATH_OPEN ? 1 : kind == HEARTH_MATH_CLOSE ? -1 : 0;
    if (row->brackets <= 0 && (kind == HEARTH_MATH_BINARY || kind == HEARTH_MATH_RELATION ||
                               kind == HEARTH_MATH_FRACTION))
        row->composite |= !sign || row->atoms > 0;
    row->atoms++;
}

void hearth_markdown_math_newline(HearthMath *m, HearthMathRow *row)
{
    if (row->out->len && !row->newline)
        g_string_append(row->out, m->display && !row->tight ? "\n" : "; ");
    row->last = HEARTH_MATH_NONE;
}

/* ---- characters ---- */

static gunichar styled(HearthMathStyle style, gunichar c)
{
    static const struct {
        HearthMathStyle style;
        char from;
        gunichar to;
    } holes[] = {
        {HEARTH_MATH_BLACKBOARD, 'C', 0x2102}, {HEARTH_MATH_BLACKBOARD, 'H', 0x210d},
        {HEARTH_MATH_BLACKBOARD, 'N', 0x2115}, {HEARTH_MATH_BLACKBOARD, 'P', 0x2119},
        {HEARTH_MATH_BLACKBOARD, 'Q', 0x211a}, {HEARTH_MATH_BLACKBOARD, 'R', 0x211d},
        {HEARTH_MATH_BLACKBOARD, 'Z', 0x2124}, {HEARTH_MATH_SCRIPT, 'B', 0x212c},
        {HEARTH_MATH_SCRIPT, 'E', 0x2130},     {HEARTH_MATH_SCRIPT, 'F', 0x2131},
        {HEARTH_MATH_SCRIPT, 'H', 0x210b},     {HEARTH_MATH_SCRIPT, 'I', 0x2110},
        {HEARTH_MATH_SCRIPT, 'L', 0x2112},     {HEARTH_MATH_SCRIPT, 'M', 0x2133},
        {HEARTH_MATH_SCRIPT, 'R', 0x211b},     {HEARTH_MATH_SCRIPT, 'e', 0x212f},
        {HEARTH_MATH_SCRIPT, 'g', 0x210a},     {HEARTH_MATH_SCRIPT, 'o', 0x2134},
        {HEARTH_MATH_FRAKTUR, 'C', 0x212d},    {HEARTH_MATH_FRAKTUR, 'H', 0x210c},
        {HEARTH_MATH_FRAKTUR, 'I', 0x2111},    {HEARTH_MATH_FRAKTUR, 'R', 0x211c},
        {HEARTH_MATH_FRAKTUR, 'Z', 0x2128},
    };
    static const gunichar first[] = {
        [HEARTH_MATH_BLACKBOARD] = 0x1d538,
        [HEARTH_MATH_SCRIPT] = 0x1d49c,
        [HEARTH_MATH_FRAKTUR] = 0x1d504,
    };
    for (gsize i = 0; i < G_N_ELEMENTS(holes); i++)
        if (holes[i].style == style && (gunichar)holes[i].from == c) return holes[i].to;
    if (style == HEARTH_MATH_BLACKBOARD && c >= '0' && c <= '9') return 0x1d7d8 + c - '0';
    if (c >= 'A' && c <= 'Z') return first[style] + c - 'A';
    if (c >= 'a' && c <= 'z') return first[style] + 26 + c - 'a';
    return c;
}

void hearth_markdown_math_letter(HearthMath *m, GString *out, gunichar c)
{
    char utf8[8];
    if (m->style > HEARTH_MATH_UPRIGHT) c = styled(m->style, c);
    int n = g_unichar_to_utf8(c, utf8);
    bool slanted = m->style == HEARTH_MATH_SLANTED && g_unichar_isalpha(c) && c < 0x2e80;
    if (slanted) g_string_append(out, "<i>");
    hearth_markdown_inline_escape(out, utf8, (gsize)n);
    if (slanted) g_string_append(out, "</i>");
}

void hearth_markdown_math_skip_space(HearthMath *m)
{
    while (m->p < m->end && g_ascii_isspace(*m->p)) m->p++;
}

static bool is_number(const HearthMath *m, const char *p)
{
    if (p >= m->end) return false;
    if (g_ascii_isdigit(*p)) return true;
    /* 3.14 and 1,000 */
    return (*p == '.' || *p == ',') && p + 1 < m->end && g_ascii_isdigit(p[1]);
}

static HearthMathClass character(HearthMath *m, GString *out)
{
    char c = *m->p;
    if (g_ascii_isdigit(c)) {
        const char *start = m->p++;
        while (is_number(m, m->p)) m->p++;
        if (m->style > HEARTH_MATH_UPRIGHT)
            while (start < m->p) hearth_markdown_math_letter(m, out, (guchar)*start++);
        else
            g_string_append_len(out, start, m->p - start);
        return HEARTH_MATH_ORDINARY;
    }
    gunichar u = g_utf8_get_char(m->p);
    m->p = MIN(g_utf8_next_char(m->p), m->end);
    switch (u) {
    case '-': u = 0x2212; /* fall through */
    case '+': g_string_append_unichar(out, u); return HEARTH_MATH_BINARY;
    case '*': g_string_append(out, "∗"); return HEARTH_MATH_BINARY;
    case '~': g_string_append(out, "\xc2\xa0"); return HEARTH_MATH_SPACE;
    case '\'': g_string_append(out, "′"); return HEARTH_MATH_ORDINARY;
    default: break;
    }
    if (g_unichar_isalpha(u) && u != 0xfffd) {
        hearth_markdown_math_letter(m, out, u);
        return HEARTH_MATH_VARIABLE;
    }
    char utf8[8];
    hearth_markdown_inline_escape(out, utf8, (gsize)g_unichar_to_utf8(u, utf8));
    if (u < 128 && strchr("=<>:", (int)u)) return HEARTH_MATH_RELATION;
    if (u < 128 && strchr(",;", (int)u)) return HEARTH_MATH_PUNCTUATION;
    if (u == '(' || u == '[') return HEARTH_MATH_OPEN;
    if (u == ')' || u == ']' || u == '!' || u == '?') return HEARTH_MATH_CLOSE;
    if (g_utf8_strchr("±×÷·∘∪∩∧∨⊕⊗", -1, u)) return HEARTH_MATH_BINARY;
    if (g_utf8_strchr("≤≥≠≈≡∼∈∉⊂⊆→⇒↔⇔←∝≅≪≫", -1, u)) return HEARTH_MATH_RELATION;
    return HEARTH_MATH_ORDINARY;
}

const char *hearth_markdown_math_delimiter(HearthMath *m)
{
    static const struct {
        const char *source, *markup;
    } known[] = {{".", ""},         {"<", "⟨"},        {">", "⟩"},         {"\\{", "{"},
                 {"\\}", "}"},      {"\\|", "‖"},      {"\\langle", "⟨"},  {"\\rangle", "⟩"},
                 {"\\lfloor", "⌊"}, {"\\rfloor", "⌋"}, {"\\lceil", "⌈"},   {"\\rceil", "⌉"},
                 {"\\lvert", "|"},  {"\\rvert", "|"},  {"\\lVert", "‖"},   {"\\rVert", "‖"},
                 {"\\vert", "|"},   {"\\Vert", "‖"},   {"\\lbrace", "{"},  {"\\rbrace", "}"},
                 {"\\lbrack", "["}, {"\\rbrack", "]"}, {"\\uparrow", "↑"}, {"\\downarrow", "↓"},
                 {"(", "("},        {")", ")"},        {"[", "["},         {"]", "]"},
                 {"|", "|"},        {"/", "/"}};
    hearth_markdown_math_skip_space(m);
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++) {
        gsize n = strlen(known[i].source);
        if ((gsize)(m->end - m->p) < n || memcmp(m->p, known[i].source, n) != 0) continue;
        if (n > 2 && m->p + n < m->end && g_ascii_isalpha(m->p[n])) continue;
        m->p += n;
        return known[i].markup;
    }
    return "";
}

/* ---- atoms ---- */

static bool at_word(const HearthMath *m, const char *word)
{
    gsize n = strlen(word);
    return (gsize)(m->end - m->p) >= n && memcmp(m->p, word, n) == 0 &&
           (m->p + n == m->end || !g_ascii_isalpha(m->p[n]));
}

void hearth_markdown_math_raw(HearthMath *m, const char **ret_start, const char **ret_end)
{
    hearth_markdown_math_skip_space(m);
    *ret_start = *ret_end = m->p;
    if (m->p == m->end) return;
    if (*m->p != '{') {
        m->p = MIN(g_utf8_next_char(m->p), m->end);
        *ret_end = m->p;
        return;
    }
    int open = 0;
    for (; m->p < m->end; m->p++) {
        if (*m->p == '\\' && m->p + 1 < m->end)
            m->p++;
        else if (*m->p == '{')
            open++;
        else if (*m->p == '}' && --open == 0)
            break;
    }
    *ret_start += 1;
    *ret_end = MAX(m->p, *ret_start);
    if (m->p < m->end) m->p++;
}

static void braces(HearthMath *m, HearthMathRow *row)
{
    HearthMath saved = *m;
    m->p++;
    m->in_cell = false;
    m->lefts = 0;
    m->depth++;
    hearth_markdown_math_list(m, row);
    if (m->p < m->end) m->p++;
    saved.p = m->p;
    *m = saved;
}

static HearthMathClass nucleus(HearthMath *m, HearthMathRow *row, GString *out)
{
    char name[40];
    if (*m->p == '{' && m->depth < HEARTH_MATH_DEPTH) {
        HearthMathRow inner;
        hearth_markdown_math_row_init(&inner, row->tight);
        braces(m, &inner);
        g_string_append_len(out, inner.out->str, (gssize)inner.out->len);
        g_string_free(inner.out, TRUE);
        return inner.atoms == 1 && is_word(inner.last) ? inner.last : HEARTH_MATH_ORDINARY;
    }
    if (*m->p == '{' || *m->p == '}') {
        m->p++;
        return HEARTH_MATH_NONE;
    }
    if (*m->p == '^' || *m->p == '_') return HEARTH_MATH_ORDINARY; /* {}^a without the {} */
    if (*m->p != '\\' || m->p + 1 == m->end) return character(m, out);
    const char *start = ++m->p;
    while (m->p < m->end && g_ascii_isalpha(*m->p)) m->p++;
    if (m->p == start) m->p = MIN(g_utf8_next_char(m->p), m->end);
    gsize n = (gsize)(m->p - start);
    if (n == 1 && *start == '\n') return HEARTH_MATH_NONE;
    g_snprintf(name, sizeof name, "%.*s", (int)MIN(n, sizeof name - 1), start);
    if (m->p < m->end && *m->p == '*' && n > 2) m->p++; /* \operatorname* */
    return hearth_markdown_math_command(m, row, name, out);
}

/* A degree is no circle that is raised. */
static bool is_degree(const HearthMathRow *script)
{
    return g_str_equal(script->out->str, "∘") || g_str_equal(script->out->str, "°");
}

/* Pango takes a script in a script of the same kind for one. */
static void nested_script(GString *out, const char *markup, bool raised)
{
    g_string_append_printf(out, "<span size=\"smaller\" rise=\"%d\">%s</span>",
                           raised ? 2500 : -1500, markup);
}

static void script(HearthMath *m, GString *out)
{
    bool raised = *m->p++ == '^';
    HearthMathRow inner;
    hearth_markdown_math_row_init(&inner, true);
    m->scripts++;
    hearth_markdown_math_argument(m, &inner);
    m->scripts--;
    const char *tag = raised ? "sup" : "sub";
    if (raised && is_degree(&inner))
        g_string_append(out, "°");
    else if (raised && g_str_has_prefix(inner.out->str, "′"))
        g_string_append(out, inner.out->str);
    else if (m->scripts && m->scripts < MAX_SCRIPTS && inner.out->len)
        nested_script(out, inner.out->str, raised);
    else if (m->scripts < MAX_SCRIPTS && inner.out->len)
        g_string_append_printf(out, "<%s>%s</%s>", tag, inner.out->str, tag);
    else if (inner.out->len)
        g_string_append_printf(out, "%s(%s)", raised ? "^" : "_", inner.out->str);
    g_string_free(inner.out, TRUE);
}

static void scripts(HearthMath *m, GString *out)
{
    for (;;) {
        const char *before = m->p;
        hearth_markdown_math_skip_space(m);
        if (m->p < m->end && *m->p == '\'') {
            m->p++;
            g_string_append(out, "′");
        } else if (m->p < m->end && (*m->p == '^' || *m->p == '_')) {
            script(m, out);
        } else if (at_word(m, "\\limits")) {
            m->p += 7;
        } else if (at_word(m, "\\nolimits")) {
            m->p += 9;
        } else {
            m->p = before;
            return;
        }
    }
}

static void atom(HearthMath *m, HearthMathRow *row)
{
    GString *out = g_string_new(NULL);
    HearthMathClass kind = nucleus(m, row, out);
    if (kind != HEARTH_MATH_NONE && kind != HEARTH_MATH_SPACE) scripts(m, out);
    hearth_markdown_math_put(row, kind, out->str);
    g_string_free(out, TRUE);
}

/* Whether the list ends here; what belongs to nothing is stepped over instead. */
static bool at_end(HearthMath *m)
{
    if (*m->p == '}') {
        if (m->depth) return true;
        m->p++;
    } else if (*m->p == '&' || (*m->p == '\\' && m->p + 1 < m->end && m->p[1] == '\\')) {
        if (m->in_cell) return true;
        if (*m->p == '&') m->p++;
    } else if (at_word(m, "\\right")) {
        if (m->lefts) return true;
        m->p += 6;
        hearth_markdown_math_delimiter(m);
    } else if (at_word(m, "\\end")) {
        if (m->depth) return true;
        m->p += 4;
        const char *start, *end;
        hearth_markdown_math_raw(m, &start, &end);
    }
    return false;
}

void hearth_markdown_math_list(HearthMath *m, HearthMathRow *row)
{
    for (;;) {
        hearth_markdown_math_skip_space(m);
        const char *before = m->p;
        if (m->p == m->end || at_end(m)) return;
        if (m->p == before) atom(m, row);
    }
}

void hearth_markdown_math_argument(HearthMath *m, HearthMathRow *row)
{
    hearth_markdown_math_skip_space(m);
    if (m->p == m->end || *m->p == '}' || *m->p == '&') return;
    if (*m->p == '{' && m->depth < HEARTH_MATH_DEPTH) {
        braces(m, row);
        return;
    }
    GString *out = g_string_new(NULL);
    HearthMathClass kind;
    if (g_ascii_isdigit(*m->p)) { /* \frac12 */
        g_string_append_c(out, *m->p++);
        kind = HEARTH_MATH_ORDINARY;
    } else if (*m->p == '^' || *m->p == '_' || m->depth >= HEARTH_MATH_DEPTH) {
        kind = character(m, out);
    } else {
        m->depth++;
        kind = nucleus(m, row, out);
        m->depth--;
    }
    hearth_markdown_math_put(row, kind, out->str);
    g_string_free(out, TRUE);
}

/* ---- the whole ---- */

static bool has_one_matrix(const char *source)
{
    const char *first = strstr(source, "matrix}"), *cases = strstr(source, "\\begin{cases}");
    if (!first) first = strstr(source, "\\begin{array}");
    if (cases) return !first && !strstr(cases + 1, "\\begin{cases}");
    if (!first) return false;
    const char *second = strstr(first + 1, "\\begin{");
    return !second;
}

char *hearth_markdown_math(const char *source, bool display)
{
    gsize len = strlen(source);
    GString *all = g_string_new("<span font_family=\"serif\">");
    if (len > MAX_SOURCE) {
        hearth_markdown_inline_escape(all, source, len);
    } else {
        HearthMath m = {.p = source, .end = source + len, .display = display};
        m.stack = display && has_one_matrix(source);
        HearthMathRow row;
        hearth_markdown_math_row_init(&row, false);
        while (m.p < m.end) hearth_markdown_math_list(&m, &row);
        /* Letters beside each other are one word in italics. */
        g_string_replace(row.out, "</i><i>", "", 0);
        while (row.out->len && strchr(" \n", row.out->str[row.out->len - 1]))
            g_string_truncate(row.out, row.out->len - 1);
        g_string_append_len(all, row.out->str, (gssize)row.out->len);
        g_string_free(row.out, TRUE);
    }
    g_string_append(all, "</span>");
    return g_string_free(all, FALSE);
}
