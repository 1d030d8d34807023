#include <stdlib.h>
#include <string.h>

#include "markdown/model/block.h"
#include "markdown/model/inline.h"
#include "reader.h"

typedef HearthMathClass (*Command)(HearthMath *m, HearthMathRow *row, const char *name,
                                   GString *out);

static void argument(HearthMath *m, HearthMathRow *ret, bool tight)
{
    hearth_markdown_math_row_init(ret, tight);
    hearth_markdown_math_argument(m, ret);
}

static void append_row(GString *out, HearthMathRow *row)
{
    g_string_append_len(out, row->out->str, (gssize)row->out->len);
    g_string_free(row->out, TRUE);
}

/* ---- fractions and roots ---- */

static bool is_short_number(const char *markup)
{
    gsize n = strlen(markup);
    return n > 0 && n <= 3 && strspn(markup, "0123456789") == n;
}

/* dx, ∂x: below a line they need no brackets. */
static bool is_differential(const HearthMathRow *row)
{
    g_autofree char *plain = hearth_markdown_block_strip(row->out->str);
    return row->atoms == 2 && (*plain == 'd' || g_str_has_prefix(plain, "∂"));
}

static void append_bracketed(GString *out, HearthMathRow *row, bool brackets)
{
    if (brackets) g_string_append_c(out, '(');
    append_row(out, row);
    if (brackets) g_string_append_c(out, ')');
}

static HearthMathClass fraction(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    HearthMathRow above, below;
    argument(m, &above, row->tight);
    argument(m, &below, row->tight);
    if (is_short_number(above.out->str) && is_short_number(below.out->str) && !row->tight) {
        g_string_append_printf(out, "<sup>%s</sup>⁄<sub>%s</sub>", above.out->str, below.out->str);
        g_string_free(above.out, TRUE);
        g_string_free(below.out, TRUE);
        return HEARTH_MATH_ORDINARY;
    }
    bool brackets = below.composite || (below.atoms > 1 && !is_differential(&below));
    append_bracketed(out, &above, above.composite);
    g_string_append_c(out, '/');
    append_bracketed(out, &below, brackets);
    return HEARTH_MATH_FRACTION;
}

static HearthMathClass binomial(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)row;
    (void)name;
    HearthMathRow above, below;
    argument(m, &above, true);
    argument(m, &below, true);
    g_string_append_printf(out, "(<sup>%s</sup><sub>%s</sub>)", above.out->str, below.out->str);
    g_string_free(above.out, TRUE);
    g_string_free(below.out, TRUE);
    return HEARTH_MATH_ORDINARY;
}

static HearthMathClass root(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    hearth_markdown_math_skip_space(m);
    if (m->p < m->end && *m->p == '[') {
        const char *close = memchr(m->p, ']', (size_t)(m->end - m->p));
        const char *end = close ? close : m->end;
        g_autofree char *index = g_strndup(m->p + 1, (gsize)(end - m->p - 1));
        m->p = close ? close + 1 : m->end;
        HearthMath inner = {
            index, index + strlen(index), m->depth + 1, m->scripts, 0, m->style, false, false,
            false};
        HearthMathRow degree;
        hearth_markdown_math_row_init(&degree, true);
        if (m->depth < HEARTH_MATH_DEPTH) hearth_markdown_math_list(&inner, &degree);
        if (g_str_equal(degree.out->str, "3"))
            g_string_append(out, "∛");
        else if (g_str_equal(degree.out->str, "4"))
            g_string_append(out, "∜");
        else if (degree.out->len)
            g_string_append_printf(out, "<sup>%s</sup>√", degree.out->str);
        g_string_free(degree.out, TRUE);
    }
    if (!out->len) g_string_append(out, "√");
    HearthMathRow under;
    argument(m, &under, row->tight);
    append_bracketed(out, &under, under.composite || under.atoms > 1);
    return HEARTH_MATH_ORDINARY;
}

/* ---- words and faces ---- */

static HearthMathClass text(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    const char *p, *end;
    (void)row;
    hearth_markdown_math_raw(m, &p, &end);
    const char *tag = g_str_equal(name, "textbf") ? "b" : g_str_equal(name, "textit") ? "i" : NULL;
    if (tag) g_string_append_printf(out, "<%s>", tag);
    while (p < end) {
        const char *stop = p;
        while (stop < end && *stop != '\\' && *stop != '$' && *stop != '~') stop++;
        hearth_markdown_inline_escape(out, p, (gsize)(stop - p));
        if (stop == end) break;
        p = stop + 1;
        if (*stop == '~')
            g_string_append(out, "\xc2\xa0");
        else if (*stop == '\\' && p < end && g_ascii_isalpha(*p))
            g_string_append_c(out, '\\'); /* a command: shown as it is */
        else if (*stop == '\\' && p < end) {
            const char *next = MIN(g_utf8_next_char(p), end);
            hearth_markdown_inline_escape(out, p, (gsize)(next - p));
            p = next;
        }
    }
    if (tag) g_string_append_printf(out, "</%s>", tag);
    return HEARTH_MATH_ORDINARY;
}

static HearthMathClass function_name(HearthMath *m, HearthMathRow *row, const char *name,
                                     GString *out)
{
    text(m, row, name, out);
    return HEARTH_MATH_FUNCTION;
}

static HearthMathClass face(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    static const struct {
        const char *name;
        HearthMathStyle style;
        const char *tag;
    } faces[] = {
        {"mathbb", HEARTH_MATH_BLACKBOARD, NULL}, {"mathcal", HEARTH_MATH_SCRIPT, NULL},
        {"mathscr", HEARTH_MATH_SCRIPT, NULL},    {"mathfrak", HEARTH_MATH_FRAKTUR, NULL},
        {"mathrm", HEARTH_MATH_UPRIGHT, NULL},    {"mathsf", HEARTH_MATH_UPRIGHT, NULL},
        {"mathtt", HEARTH_MATH_UPRIGHT, NULL},    {"mathbf", HEARTH_MATH_UPRIGHT, "b"},
        {"mathit", HEARTH_MATH_SLANTED, NULL},    {"boldsymbol", HEARTH_MATH_SLANTED, "b"},
        {"bm", HEARTH_MATH_SLANTED, "b"},         {"mathnormal", HEARTH_MATH_SLANTED, NULL},
    };
    gsize i = 0;
    while (i + 1 < G_N_ELEMENTS(faces) && !g_str_equal(faces[i].name, name)) i++;
    HearthMathStyle before = m->style;
    HearthMathRow inner;
    m->style = faces[i].style;
    argument(m, &inner, row->tight);
    m->style = before;
    if (faces[i].tag) g_string_append_printf(out, "<%s>", faces[i].tag);
    append_row(out, &inner);
    if (faces[i].tag) g_string_append_printf(out, "</%s>", faces[i].tag);
    return faces[i].style == HEARTH_MATH_UPRIGHT ? HEARTH_MATH_ORDINARY : HEARTH_MATH_VARIABLE;
}

/* \bf and the like, up to the end of the group. */
static HearthMathClass change_face(HearthMath *m, HearthMathRow *row, const char *name,
                                   GString *out)
{
    (void)row;
    (void)out;
    m->style = g_str_equal(name, "it") ? HEARTH_MATH_SLANTED : HEARTH_MATH_UPRIGHT;
    return HEARTH_MATH_NONE;
}

static HearthMathClass group(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    HearthMathRow inner;
    argument(m, &inner, row->tight);
    append_row(out, &inner);
    return g_str_equal(name, "mathop")    ? HEARTH_MATH_OPERATOR
           : g_str_equal(name, "mathbin") ? HEARTH_MATH_BINARY
           : g_str_equal(name, "mathrel") ? HEARTH_MATH_RELATION
                                          : HEARTH_MATH_ORDINARY;
}

/* ---- above and below ---- */

static const char *behind_first_character(const char *markup)
{
    const char *p = markup;
    while (*p == '<') p = strchr(p, '>') + 1;
    if (*p == '&') return strchr(p, ';') + 1;
    return *p ? g_utf8_next_char(p) : NULL;
}

static HearthMathClass accent(HearthMath *m, HearthMathRow *row, const char *combining,
                              GString *out)
{
    HearthMathRow inner;
    argument(m, &inner, row->tight);
    g_autofree char *plain = hearth_markdown_block_strip(inner.out->str);
    if (g_utf8_strlen(plain, -1) > 1 && g_str_equal(combining, "\xcc\x84")) {
        g_string_append_printf(out, "<span overline=\"single\">%s</span>", inner.out->str);
    } else {
        const char *at = behind_first_character(inner.out->str);
        gsize n = at ? (gsize)(at - inner.out->str) : inner.out->len;
        g_string_append_len(out, inner.out->str, (gssize)n);
        if (at) g_string_append(out, combining);
        g_string_append(out, inner.out->str + n);
    }
    g_string_free(inner.out, TRUE);
    return HEARTH_MATH_VARIABLE;
}

static HearthMathClass overline(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    return accent(m, row, "\xcc\x84", out);
}

static HearthMathClass wrapped(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    bool under = g_str_equal(name, "underline");
    HearthMathRow inner;
    argument(m, &inner, row->tight);
    g_string_append(out, under ? "<u>" : "<s>");
    append_row(out, &inner);
    g_string_append(out, under ? "</u>" : "</s>");
    return HEARTH_MATH_ORDINARY;
}

/* \overset{above}{base} and its kin: scripts of the base. */
static HearthMathClass set(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    HearthMathRow script, base;
    argument(m, &script, true);
    argument(m, &base, row->tight);
    const char *tag = g_str_equal(name, "underset") ? "sub" : "sup";
    HearthMathClass kind = base.atoms == 1 ? base.last : HEARTH_MATH_ORDINARY;
    append_row(out, &base);
    g_string_append_printf(out, "<%s>%s</%s>", tag, script.out->str, tag);
    g_string_free(script.out, TRUE);
    return kind ? kind : HEARTH_MATH_ORDINARY;
}

static HearthMathClass long_arrow(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)row;
    HearthMathRow script;
    argument(m, &script, true);
    g_string_append(out, strstr(name, "left") ? "⟵" : strstr(name, "Right") ? "⟹" : "⟶");
    if (script.out->len) g_string_append_printf(out, "<sup>%s</sup>", script.out->str);
    g_string_free(script.out, TRUE);
    return HEARTH_MATH_RELATION;
}

static HearthMathClass negation(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    HearthMathRow inner;
    argument(m, &inner, row->tight);
    const char *at = behind_first_character(inner.out->str);
    gsize n = at ? (gsize)(at - inner.out->str) : inner.out->len;
    g_string_append_len(out, inner.out->str, (gssize)n);
    if (at) g_string_append(out, "\xcc\xb8");
    g_string_append(out, inner.out->str + n);
    g_string_free(inner.out, TRUE);
    return HEARTH_MATH_RELATION;
}

/* The view draws a frame around fallback="true", which changes nothing by itself. */
static HearthMathClass boxed(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    HearthMathRow inner;
    argument(m, &inner, row->tight);
    g_string_append(out, "<span fallback=\"true\">\xe2\x80\x82");
    append_row(out, &inner);
    g_string_append(out, "\xe2\x80\x82</span>");
    return HEARTH_MATH_ORDINARY;
}

static HearthMathClass modulo(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    HearthMathRow inner;
    argument(m, &inner, row->tight);
    bool word = g_str_equal(name, "pmod");
    g_string_append_printf(out, "\xe2\x80\x83(%s%s)", word ? "mod " : "", inner.out->str);
    if (g_str_equal(name, "mod")) {
        g_string_truncate(out, 0);
        g_string_append_printf(out, "\xe2\x80\x83mod %s", inner.out->str);
    }
    g_string_free(inner.out, TRUE);
    return HEARTH_MATH_ORDINARY;
}

/* ---- brackets, arguments that are dropped ---- */

static HearthMathClass left(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    hearth_markdown_math_put(row, HEARTH_MATH_OPEN, hearth_markdown_math_delimiter(m));
    if (m->depth >= HEARTH_MATH_DEPTH) return HEARTH_MATH_NONE;
    bool in_cell = m->in_cell;
    m->in_cell = false;
    m->lefts++;
    m->depth++;
    hearth_markdown_math_list(m, row);
    m->depth--;
    m->lefts--;
    m->in_cell = in_cell;
    if (m->end - m->p < 6 || memcmp(m->p, "\\right", 6) != 0) return HEARTH_MATH_NONE;
    m->p += 6;
    g_string_append(out, hearth_markdown_math_delimiter(m));
    return HEARTH_MATH_CLOSE;
}

static HearthMathClass middle(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)row;
    (void)name;
    g_string_append(out, hearth_markdown_math_delimiter(m));
    return HEARTH_MATH_RELATION;
}

static HearthMathClass nothing(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)m;
    (void)row;
    (void)name;
    (void)out;
    return HEARTH_MATH_NONE;
}

static HearthMathClass drop(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    const char *start, *end;
    (void)row;
    hearth_markdown_math_raw(m, &start, &end);
    if (!strstr(name, "space")) return HEARTH_MATH_NONE;
    g_string_append(out, "\xe2\x80\x82");
    return HEARTH_MATH_SPACE;
}

static HearthMathClass drop_first(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    const char *start, *end;
    hearth_markdown_math_raw(m, &start, &end);
    return group(m, row, name, out);
}

static HearthMathClass tag(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    g_string_append(out, "\xe2\x80\x83\xe2\x80\x83(");
    text(m, row, name, out);
    g_string_append_c(out, ')');
    return HEARTH_MATH_ORDINARY;
}

static HearthMathClass new_line(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    (void)out;
    hearth_markdown_math_newline(m, row);
    return HEARTH_MATH_NONE;
}

static HearthMathClass grid(HearthMath *m, HearthMathRow *row, const char *name, GString *out)
{
    (void)name;
    return hearth_markdown_math_grid(m, row, out);
}

/* ---- by name, sorted ---- */

typedef struct {
    const char *name;
    Command command;
} Named;

static const Named commands[] = {
    {"Big", nothing},
    {"Bigg", nothing},
    {"Biggl", nothing},
    {"Biggr", nothing},
    {"Bigl", nothing},
    {"Bigm", nothing},
    {"Bigr", nothing},
    {"\\", new_line},
    {"bcancel", wrapped},
    {"begin", grid},
    {"bf", change_face},
    {"big", nothing},
    {"bigg", nothing},
    {"biggl", nothing},
    {"biggm", nothing},
    {"biggr", nothing},
    {"bigl", nothing},
    {"bigm", nothing},
    {"bigr", nothing},
    {"binom", binomial},
    {"bm", face},
    {"boldsymbol", face},
    {"boxed", boxed},
    {"cancel", wrapped},
    {"cfrac", fraction},
    {"color", drop},
    {"colorbox", drop_first},
    {"cr", new_line},
    {"dbinom", binomial},
    {"dfrac", fraction},
    {"displaystyle", nothing},
    {"ensuremath", group},
    {"fbox", boxed},
    {"frac", fraction},
    {"hbox", text},
    {"hfill", nothing},
    {"hline", nothing},
    {"hphantom", drop},
    {"hspace", drop},
    {"it", change_face},
    {"label", drop},
    {"left", left},
    {"limits", nothing},
    {"mathbb", face},
    {"mathbf", face},
    {"mathbin", group},
    {"mathcal", face},
    {"mathfrak", face},
    {"mathit", face},
    {"mathnormal", face},
    {"mathop", group},
    {"mathord", group},
    {"mathrel", group},
    {"mathrm", face},
    {"mathscr", face},
    {"mathsf", face},
    {"mathstrut", nothing},
    {"mathtt", face},
    {"mbox", text},
    {"middle", middle},
    {"mod", modulo},
    {"newline", new_line},
    {"nolimits", nothing},
    {"nonumber", nothing},
    {"not", negation},
    {"notag", nothing},
    {"operatorname", function_name},
    {"overbrace", group},
    {"overline", overline},
    {"overset", set},
    {"phantom", drop},
    {"pmod", modulo},
    {"pod", modulo},
    {"rm", change_face},
    {"scriptscriptstyle", nothing},
    {"scriptstyle", nothing},
    {"smash", group},
    {"sout", wrapped},
    {"sqrt", root},
    {"stackrel", set},
    {"substack", group},
    {"tag", tag},
    {"tbinom", binomial},
    {"text", text},
    {"textbf", text},
    {"textcolor", drop_first},
    {"textit", text},
    {"textnormal", text},
    {"textrm", text},
    {"textsf", text},
    {"textstyle", nothing},
    {"texttt", text},
    {"tfrac", fraction},
    {"tt", change_face},
    {"underbrace", group},
    {"underline", wrapped},
    {"underset", set},
    {"vphantom", drop},
    {"vspace", nothing},
    {"xRightarrow", long_arrow},
    {"xcancel", wrapped},
    {"xleftarrow", long_arrow},
    {"xrightarrow", long_arrow},
};

static int compare_command(const void *key, const void *entry)
{
    return strcmp(key, ((const Named *)entry)->name);
}

static int compare_symbol(const void *key, const void *entry)
{
    return strcmp(key, ((const HearthMarkdownSymbol *)entry)->name);
}

/* \\[2pt]: the length is no text. */
static void skip_length(HearthMath *m)
{
    if (m->p == m->end || *m->p != '[') return;
    const char *p = m->p + 1;
    while (p < m->end && (g_ascii_isalnum(*p) || *p == '.' || *p == '-')) p++;
    if (p < m->end && *p == ']' && p > m->p + 2 && g_ascii_isalpha(p[-1])) m->p = p + 1;
}

HearthMathClass hearth_markdown_math_command(HearthMath *m, HearthMathRow *row, const char *name,
                                             GString *out)
{
    if (g_str_equal(name, "\\")) skip_length(m);
    const Named *command =
        bsearch(name, commands, G_N_ELEMENTS(commands), sizeof *commands, compare_command);
    if (command && m->depth < HEARTH_MATH_DEPTH) return command->command(m, row, name, out);
    const HearthMarkdownSymbol *symbol =
        bsearch(name, hearth_markdown_math_table, hearth_markdown_math_table_count, sizeof *symbol,
                compare_symbol);
    if (!symbol) { /* its source says more than nothing */
        g_string_append_c(out, '\\');
        hearth_markdown_inline_escape(out, name, strlen(name));
        return HEARTH_MATH_ORDINARY;
    }
    switch (symbol->kind) {
    case HEARTH_MATH_ACCENT: return accent(m, row, symbol->text, out);
    case HEARTH_MATH_VARIABLE:
        hearth_markdown_math_letter(m, out, g_utf8_get_char(symbol->text));
        return symbol->kind;
    default: break;
    }
    hearth_markdown_inline_escape(out, symbol->text, strlen(symbol->text));
    return *symbol->text ? symbol->kind : HEARTH_MATH_NONE;
}
