#include "chat/lex.h"

#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static const struct {
    const char *text;
    EngTokenKind kind;
} operators[] = {
    {"//", ENG_T_FLOORDIV}, {"**", ENG_T_POW},      {"==", ENG_T_EQ},    {"!=", ENG_T_NE},
    {">=", ENG_T_GTEQ},     {"<=", ENG_T_LTEQ},     {"+", ENG_T_ADD},    {"-", ENG_T_SUB},
    {"/", ENG_T_DIV},       {"*", ENG_T_MUL},       {"%", ENG_T_MOD},    {"~", ENG_T_TILDE},
    {"[", ENG_T_LBRACKET},  {"]", ENG_T_RBRACKET},  {"(", ENG_T_LPAREN}, {")", ENG_T_RPAREN},
    {"{", ENG_T_LBRACE},    {"}", ENG_T_RBRACE},    {">", ENG_T_GT},     {"<", ENG_T_LT},
    {"=", ENG_T_ASSIGN},    {".", ENG_T_DOT},       {":", ENG_T_COLON},  {"|", ENG_T_PIPE},
    {",", ENG_T_COMMA},     {";", ENG_T_SEMICOLON},
};

const char *eng_lex_kind_name(EngTokenKind kind)
{
    switch (kind) {
    case ENG_T_EOF: return "end of template";
    case ENG_T_DATA: return "template data / text";
    case ENG_T_BLOCK_BEGIN: return "begin of statement block";
    case ENG_T_BLOCK_END: return "end of statement block";
    case ENG_T_VARIABLE_BEGIN: return "begin of print statement";
    case ENG_T_VARIABLE_END: return "end of print statement";
    case ENG_T_NAME: return "name";
    case ENG_T_STRING: return "string";
    case ENG_T_INTEGER: return "integer";
    case ENG_T_FLOAT: return "float";
    default: break;
    }
    for (size_t i = 0; i < ENG_LEN(operators); i++)
        if (operators[i].kind == kind) return operators[i].text;
    return "";
}

EngStr *eng_lex_describe(EngRun *run, EngToken token)
{
    if (token.kind == ENG_T_NAME) return token.value.u.str;
    return eng_str_text(run, eng_lex_kind_name(token.kind));
}

void eng_lex_init(EngLex *lex, EngRun *run, const char *source, size_t n)
{
    char *text = eng_value_alloc(run, n + 1);
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (source[i] == '\r' && i + 1 < n && source[i + 1] == '\n') continue;
        text[out++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (out > 0 && text[out - 1] == '\n') out--;
    *lex = (EngLex){.run = run, .source = text, .n = out, .line = 1, .line_starting = true};
}

/* ---- helpers ---- */

static bool starts(const EngLex *lex, size_t at, const char *text)
{
    size_t n = strlen(text);
    return at <= lex->n && lex->n - at >= n && memcmp(lex->source + at, text, n) == 0;
}

static size_t skip_space(const EngLex *lex, size_t at)
{
    while (at < lex->n) {
        uint32_t cp;
        size_t len = eng_str_decode(lex->source + at, &cp);
        if (!eng_str_is(cp, ENG_IS_SPACE)) break;
        at += len;
    }
    return at;
}

static size_t trim_right(const EngLex *lex, size_t from, size_t to)
{
    EngStr s = {.data = lex->source + from, .n = to - from};
    return from + eng_str_strip(lex->run, &s, NULL, ENG_STRIP_RIGHT)->n;
}

static int newlines(const EngLex *lex, size_t from, size_t to)
{
    int n = 0;
    for (; from < to; from++) n += lex->source[from] == '\n';
    return n;
}

static void advance(EngLex *lex, size_t to)
{
    lex->line += newlines(lex, lex->at, to);
    if (to > lex->at) lex->line_starting = lex->source[to - 1] == '\n';
    lex->at = to;
}

static EngToken token(const EngLex *lex, EngTokenKind kind)
{
    return (EngToken){.kind = kind, .line = lex->line};
}

static EngToken text_token(const EngLex *lex, EngTokenKind kind, size_t from, size_t to)
{
    EngToken t = token(lex, kind);
    t.value = eng_value_str(eng_str_new(lex->run, lex->source + from, to - from));
    return t;
}

/* The end of a block or raw tag at `at`: "-%}" with the white space after it, "+%}", or "%}" with
 * one newline. 0: no end here. */
static size_t block_end(const EngLex *lex, size_t at, const char *close)
{
    size_t n = strlen(close);
    if (starts(lex, at, "-") && starts(lex, at + 1, close)) return skip_space(lex, at + 1 + n);
    if (starts(lex, at, "+") && starts(lex, at + 1, close)) return at + 1 + n;
    if (!starts(lex, at, close)) return 0;
    at += n;
    return starts(lex, at, "\n") ? at + 1 : at;
}

/* Where the text [from, to) before a tag ends: '-' takes the white space away, lstrip_blocks the
 * blanks on the tag's own line. */
static size_t text_end(const EngLex *lex, size_t from, size_t to, char sign, bool is_variable)
{
    if (sign == '-') return trim_right(lex, from, to);
    if (sign == '+' || is_variable) return to;
    size_t line = to;
    while (line > from && lex->source[line - 1] != '\n') line--;
    if (line == from && !lex->line_starting) return to;
    return skip_space(lex, line) >= to ? line : to;
}

/* ---- root ---- */

/* "{% raw %}" at `at`, any white space: its end, or 0. */
static size_t raw_begin(const EngLex *lex, size_t at)
{
    at += 2;
    if (starts(lex, at, "-") || starts(lex, at, "+")) at++;
    at = skip_space(lex, at);
    if (!starts(lex, at, "raw")) return 0;
    at = skip_space(lex, at + 3);
    if (starts(lex, at, "-%}")) return skip_space(lex, at + 3);
    return starts(lex, at, "%}") ? at + 2 : 0;
}

static bool next_root(EngLex *lex, EngToken *ret)
{
    size_t from = lex->at, tag = from;
    while (tag < lex->n && !(lex->source[tag] == '{' && tag + 1 < lex->n &&
                             strchr("{%#", lex->source[tag + 1]) && lex->source[tag + 1]))
        tag++;
    if (tag == lex->n) {
        *ret = text_token(lex, ENG_T_DATA, from, lex->n);
        advance(lex, lex->n);
        return true;
    }
    char kind = lex->source[tag + 1];
    size_t raw = kind == '%' ? raw_begin(lex, tag) : 0;
    char sign = tag + 2 < lex->n ? lex->source[tag + 2] : 0;
    if (sign != '-' && sign != '+') sign = 0;
    size_t end = text_end(lex, from, tag, sign, kind == '{');
    *ret = text_token(lex, ENG_T_DATA, from, end);
    bool has_text = end > from;
    advance(lex, tag);
    lex->pending = token(lex, kind == '{' ? ENG_T_VARIABLE_BEGIN : ENG_T_BLOCK_BEGIN);
    lex->pending_begin = !raw && kind != '#';
    lex->state = raw           ? ENG_LEX_RAW
                 : kind == '#' ? ENG_LEX_COMMENT
                 : kind == '{' ? ENG_LEX_VARIABLE
                               : ENG_LEX_BLOCK;
    advance(lex, raw ? raw : tag + 2 + (sign != 0));
    return has_text;
}

static void skip_comment(EngLex *lex)
{
    if (lex->at >= lex->n) return;
    size_t end = lex->at;
    while (end < lex->n && !starts(lex, end, "#}")) end++;
    if (end == lex->n) eng_value_raise(lex->run, "Missing end of comment tag");
    if (end > lex->at && (lex->source[end - 1] == '-' || lex->source[end - 1] == '+')) end--;
    advance(lex, block_end(lex, end, "#}"));
    lex->state = ENG_LEX_ROOT;
}

static bool next_raw(EngLex *lex, EngToken *ret)
{
    size_t from = lex->at;
    if (from >= lex->n) return false;
    for (size_t tag = from; tag < lex->n; tag++) {
        if (!starts(lex, tag, "{%")) continue;
        size_t at = tag + 2;
        char sign = starts(lex, at, "-") ? '-' : starts(lex, at, "+") ? '+' : 0;
        at = skip_space(lex, at + (sign != 0));
        if (!starts(lex, at, "endraw")) continue;
        size_t end = block_end(lex, skip_space(lex, at + 6), "%}");
        if (!end) continue;
        size_t text = text_end(lex, from, tag, sign, false);
        *ret = text_token(lex, ENG_T_DATA, from, text);
        advance(lex, end);
        lex->state = ENG_LEX_ROOT;
        return text > from;
    }
    eng_value_raise(lex->run, "Missing end of raw directive");
}

/* ---- inside a tag ---- */

static bool is_digit(char c, int base)
{
    if (c >= '0' && c <= '9') return c - '0' < base;
    return base == 16 && (c | 32) >= 'a' && (c | 32) <= 'f';
}

/* The end of digits with single underscores between them; `at` itself if there is none. */
static size_t skip_digits(const EngLex *lex, size_t at, int base)
{
    if (at >= lex->n || !is_digit(lex->source[at], base)) return at;
    for (;;) {
        if (at < lex->n && is_digit(lex->source[at], base))
            at++;
        else if (at + 1 < lex->n && lex->source[at] == '_' && is_digit(lex->source[at + 1], base))
            at += 2;
        else
            return at;
    }
}

static size_t float_end(const EngLex *lex, size_t at)
{
    size_t whole = skip_digits(lex, at, 10);
    if (whole == at || (at > 0 && lex->source[at - 1] == '.')) return 0;
    size_t end = whole;
    if (starts(lex, whole, ".")) {
        size_t fraction = skip_digits(lex, whole + 1, 10);
        if (fraction > whole + 1) end = fraction;
    }
    if (end < lex->n && (lex->source[end] | 32) == 'e') {
        size_t digits = end + 1;
        if (starts(lex, digits, "+") || starts(lex, digits, "-")) digits++;
        size_t exponent = skip_digits(lex, digits, 10);
        if (exponent > digits) return exponent;
    }
    return end > whole ? end : 0;
}

static size_t integer_end(const EngLex *lex, size_t at)
{
    if (lex->source[at] != '0') return skip_digits(lex, at, 10);
    int letter = at + 1 < lex->n ? lex->source[at + 1] | 32 : 0;
    int base = letter == 'b' ? 2 : letter == 'o' ? 8 : letter == 'x' ? 16 : 0;
    if (base) {
        size_t digits = at + 2;
        if (starts(lex, digits, "_")) digits++;
        size_t end = skip_digits(lex, digits, base);
        if (end > digits) return end;
    }
    return skip_digits(lex, at, 1); /* zeros */
}

static EngToken number(EngLex *lex, size_t end, bool real)
{
    EngToken t = token(lex, real ? ENG_T_FLOAT : ENG_T_INTEGER);
    char *digits = eng_value_alloc(lex->run, end - lex->at + 1);
    size_t n = 0;
    for (size_t i = lex->at; i < end; i++)
        if (lex->source[i] != '_') digits[n++] = lex->source[i];
    if (real) {
        double f = 0;
        eng_repr_parse_double(lex->run, digits, n, &f);
        t.value = eng_value_float(f);
    } else {
        t.value = eng_builtin_parse_int_base(lex->run, digits, n, 0);
    }
    advance(lex, end);
    return t;
}

static uint32_t escape_digits(EngLex *lex, const EngStr *s, size_t *at, int n, const char *error)
{
    uint32_t cp = 0;
    for (int i = 0; i < n; i++, ++*at) {
        if (*at >= s->n || !is_digit(s->data[*at], 16)) eng_value_raise(lex->run, "%s", error);
        char c = s->data[*at];
        cp = cp * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    if (cp > 0x10ffff) eng_value_raise(lex->run, "illegal Unicode character");
    return cp;
}

/* The escape after the backslash at s[*at - 1]. */
static void unescape_one(EngLex *lex, EngText *t, const EngStr *s, size_t *at)
{
    static const char letters[] = "\\'\"abfnrtv", meant[] = "\\'\"\a\b\f\n\r\t\v";
    uint32_t cp;
    *at += eng_str_decode(s->data + *at, &cp);
    const char *hit = cp < 128 ? strchr(letters, (int)cp) : NULL;
    if (cp == '\n') return;
    if (hit && *hit)
        eng_text_char(lex->run, t, (unsigned char)meant[hit - letters]);
    else if (cp >= '0' && cp <= '7') {
        cp -= '0';
        for (int i = 0; i < 2 && *at < s->n && s->data[*at] >= '0' && s->data[*at] <= '7'; i++)
            cp = cp * 8 + (uint32_t)(s->data[(*at)++] - '0');
        eng_text_char(lex->run, t, cp);
    } else if (cp == 'x') {
        eng_text_char(lex->run, t, escape_digits(lex, s, at, 2, "truncated \\xXX escape"));
    } else if (cp == 'u') {
        eng_text_char(lex->run, t, escape_digits(lex, s, at, 4, "truncated \\uXXXX escape"));
    } else if (cp == 'U') {
        eng_text_char(lex->run, t, escape_digits(lex, s, at, 8, "truncated \\UXXXXXXXX escape"));
    } else if (cp == 'N') {
        eng_value_raise(lex->run, "malformed \\N character escape");
    } else if (cp < 128) {
        eng_text_printf(lex->run, t, "\\%c", (int)cp);
    } else { /* the reference escapes what is not ASCII first, and so unescapes its own backslash */
        eng_text_printf(lex->run, t,
                        cp < 0x100     ? "\\x%02x"
                        : cp < 0x10000 ? "\\u%04x"
                                       : "\\U%08x",
                        cp);
    }
}

static bool string(EngLex *lex, EngToken *ret)
{
    char quote = lex->source[lex->at];
    size_t end = lex->at + 1;
    while (end < lex->n && lex->source[end] != quote) end += lex->source[end] == '\\' ? 2 : 1;
    if (end >= lex->n) return false;
    EngStr raw = {.data = lex->source + lex->at + 1, .n = end - lex->at - 1};
    EngText t = {0};
    for (size_t at = 0; at < raw.n;) {
        if (raw.data[at] == '\\') {
            at++;
            unescape_one(lex, &t, &raw, &at);
        } else {
            eng_text_add(lex->run, &t, raw.data + at++, 1);
        }
    }
    *ret = token(lex, ENG_T_STRING);
    ret->value = eng_value_str(eng_text_take(lex->run, &t));
    advance(lex, end + 1);
    return true;
}

static bool name(EngLex *lex, EngToken *ret)
{
    size_t end = lex->at;
    bool valid = true;
    uint32_t cp;
    while (end < lex->n) {
        size_t len = eng_str_decode(lex->source + end, &cp);
        bool part = cp < 128 ? eng_str_is_word(cp) : eng_str_is(cp, ENG_IS_IDENTIFIER);
        if (!part && !eng_str_is_word(cp)) break;
        valid = valid && part && !(end == lex->at && eng_str_is(cp, ENG_IS_NUMERIC) && cp >= 128);
        end += len;
    }
    if (end == lex->at) return false;
    if (!valid) eng_value_raise(lex->run, "Invalid character in identifier");
    *ret = text_token(lex, ENG_T_NAME, lex->at, end);
    advance(lex, end);
    return true;
}

static void balance(EngLex *lex, char c)
{
    const char *open = strchr("{[(", c), *close = strchr("}])", c);
    if (open) {
        if (lex->n_brackets == lex->cap_brackets) {
            size_t cap = lex->cap_brackets ? 2 * lex->cap_brackets : 32;
            char *more = eng_value_alloc(lex->run, cap);
            if (lex->n_brackets) memcpy(more, lex->brackets, lex->n_brackets);
            lex->brackets = more;
            lex->cap_brackets = cap;
        }
        lex->brackets[lex->n_brackets++] = c == '{' ? '}' : c == '[' ? ']' : ')';
    } else if (close) {
        if (lex->n_brackets == 0) eng_value_raise(lex->run, "unexpected '%c'", c);
        char want = lex->brackets[--lex->n_brackets];
        if (want != c) eng_value_raise(lex->run, "unexpected '%c', expected '%c'", c, want);
    }
}

static EngToken operator(EngLex *lex)
{
    for (size_t i = 0; i < ENG_LEN(operators); i++) {
        if (!starts(lex, lex->at, operators[i].text)) continue;
        EngToken t = token(lex, operators[i].kind);
        if (!operators[i].text[1]) balance(lex, operators[i].text[0]);
        advance(lex, lex->at + strlen(operators[i].text));
        return t;
    }
    EngText t = {0};
    uint32_t cp;
    eng_str_decode(lex->source + lex->at, &cp);
    eng_text_puts(lex->run, &t, "unexpected char ");
    eng_repr_add(lex->run, &t, eng_value_str(eng_str_char(lex->run, cp)));
    eng_text_printf(lex->run, &t, " at %zu", eng_str_count(lex->source, lex->at));
    eng_value_raise_str(lex->run, eng_text_take(lex->run, &t));
}

static bool tag_end(EngLex *lex, EngToken *ret)
{
    if (lex->n_brackets > 0) return false;
    size_t end = 0;
    if (lex->state == ENG_LEX_BLOCK) {
        end = block_end(lex, lex->at, "%}");
    } else {
        if (starts(lex, lex->at, "-}}"))
            end = skip_space(lex, lex->at + 3);
        else if (starts(lex, lex->at, "}}"))
            end = lex->at + 2;
    }
    if (!end) return false;
    *ret = token(lex, lex->state == ENG_LEX_BLOCK ? ENG_T_BLOCK_END : ENG_T_VARIABLE_END);
    advance(lex, end);
    lex->state = ENG_LEX_ROOT;
    return true;
}

static bool next_in_tag(EngLex *lex, EngToken *ret)
{
    if (tag_end(lex, ret)) return true;
    size_t space = skip_space(lex, lex->at);
    if (space > lex->at) {
        advance(lex, space);
        return false;
    }
    char c = lex->source[lex->at];
    size_t end = float_end(lex, lex->at);
    if (end)
        *ret = number(lex, end, true);
    else if (c >= '0' && c <= '9')
        *ret = number(lex, integer_end(lex, lex->at), false);
    else if (name(lex, ret))
        return true;
    else if ((c != '\'' && c != '"') || !string(lex, ret))
        *ret = operator(lex);
    return true;
}

EngToken eng_lex_next(EngLex *lex)
{
    EngToken t;
    for (;;) {
        if (lex->pending_begin) {
            lex->pending_begin = false;
            return lex->pending;
        }
        if (lex->at >= lex->n) return token(lex, ENG_T_EOF);
        eng_value_steps(lex->run, 1);
        switch (lex->state) {
        case ENG_LEX_ROOT:
            if (next_root(lex, &t)) return t;
            break;
        case ENG_LEX_COMMENT: skip_comment(lex); break;
        case ENG_LEX_RAW:
            if (next_raw(lex, &t)) return t;
            break;
        case ENG_LEX_BLOCK:
        case ENG_LEX_VARIABLE:
            if (next_in_tag(lex, &t)) return t;
            break;
        }
    }
}
