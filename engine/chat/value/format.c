/* str.format() and format(). */
#include "chat/value/format.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

/* ---- format(v, spec) ---- */

typedef struct {
    uint32_t fill;
    char align, sign, type, grouping; /* 0: not given */
    bool alternate;
    int64_t width, precision; /* -1: not given */
} Spec;

static _Noreturn void invalid_spec(EngRun *run, EngValue v, const EngStr *spec)
{
    EngText t = {0};
    eng_text_puts(run, &t, "Invalid format specifier '");
    eng_text_str(run, &t, spec);
    eng_text_printf(run, &t, "' for object of type '%s'", eng_value_type_name(v));
    eng_value_raise_str(run, eng_text_take(run, &t));
}

static int64_t spec_number(EngRun *run, const EngStr *s, size_t *at)
{
    int64_t n = -1;
    while (*at < s->n && s->data[*at] >= '0' && s->data[*at] <= '9') {
        n = (n < 0 ? 0 : n) * 10 + (s->data[(*at)++] - '0');
        if (n > INT32_MAX) eng_value_raise(run, "Too many decimal digits in format string");
    }
    return n;
}

static bool is_align(const EngStr *s, size_t at)
{
    return at < s->n && s->data[at] && strchr("<>=^", s->data[at]);
}

static Spec read_spec(EngRun *run, EngValue v, const EngStr *s)
{
    Spec spec = {.fill = ' ', .width = -1, .precision = -1};
    size_t at = 0;
    uint32_t cp;
    size_t len = s->n ? eng_str_decode(s->data, &cp) : 0;
    if (len && is_align(s, len)) {
        spec.fill = cp;
        spec.align = s->data[len];
        at = len + 1;
    } else if (is_align(s, 0)) {
        spec.align = s->data[at++];
    }
    bool explicit_fill = at > 1;
    if (at < s->n && strchr("+- ", s->data[at])) spec.sign = s->data[at++];
    if (at < s->n && s->data[at] == 'z') at++;
    if (at < s->n && s->data[at] == '#') spec.alternate = ++at;
    if (!explicit_fill && at < s->n && s->data[at] == '0') {
        spec.fill = '0';
        at++;
        if (!spec.align) spec.align = v.type == ENG_V_STR ? 0 : '=';
    }
    spec.width = spec_number(run, s, &at);
    if (at < s->n && strchr(",_", s->data[at])) spec.grouping = s->data[at++];
    if (at < s->n && s->data[at] == '.') {
        at++;
        spec.precision = spec_number(run, s, &at);
        if (spec.precision < 0) eng_value_raise(run, "Format specifier missing precision");
    }
    if (s->n - at > 1) invalid_spec(run, v, s);
    if (at < s->n) spec.type = s->data[at];
    if (spec.grouping && spec.type && !strchr("deEfFgG%", spec.type) &&
        !(spec.grouping == '_' && strchr("boxX", spec.type)))
        eng_value_raise(run, "Cannot specify '%c' with '%c'.", spec.grouping, spec.type);
    return spec;
}

static EngStr *pad(EngRun *run, const Spec *spec, char align, const char *sign, const EngStr *body)
{
    EngText t = {0};
    int64_t used = (int64_t)(strlen(sign) + body->chars);
    size_t total = spec->width > used ? (size_t)(spec->width - used) : 0;
    size_t left = align == '>' || align == '=' ? total : align == '^' ? total / 2 : 0;
    if (align != '=') eng_text_fill(run, &t, spec->fill, left);
    eng_text_puts(run, &t, sign);
    if (align == '=') eng_text_fill(run, &t, spec->fill, left);
    eng_text_str(run, &t, body);
    eng_text_fill(run, &t, spec->fill, total - left);
    return eng_text_take(run, &t);
}

/* Separators every three digits (four in hex, octal, binary) of the whole part; zero padding is
 * grouped as well. */
static EngStr *group(EngRun *run, const Spec *spec, const char *sign, const EngStr *digits,
                     int every)
{
    size_t whole = 0;
    const char *ends = every == 4 ? "" : ".eE%"; /* e is a digit of hex */
    while (whole < digits->n && !strchr(ends, digits->data[whole])) whole++;
    size_t rest = digits->n - whole + strlen(sign), lead = 0;
    bool at_width = spec->fill == '0' && spec->align == '=' && spec->width > 0;
    for (; at_width; lead++) {
        size_t n = whole + lead + 1;
        if (n + (n - 1) / (size_t)every + rest > (size_t)spec->width) break;
    }
    size_t n = whole + lead;
    if (at_width && n + (n - 1) / (size_t)every + rest < (size_t)spec->width) n++, lead++;
    EngText t = {0};
    for (size_t i = 0; i < n; i++) {
        if (i && (n - i) % (size_t)every == 0) eng_text_char(run, &t, (uint32_t)spec->grouping);
        eng_text_char(run, &t, i < lead ? '0' : (uint32_t)digits->data[i - lead]);
    }
    eng_text_add(run, &t, digits->data + whole, digits->n - whole);
    return eng_text_take(run, &t);
}

static const char *sign_text(const Spec *spec, bool minus)
{
    return minus ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";
}

static _Noreturn void unknown_code(EngRun *run, char code, EngValue v)
{
    eng_value_raise(run, "Unknown format code '%c' for object of type '%s'", code,
                    v.type == ENG_V_BOOL ? "bool" : eng_value_type_name(v));
}

static EngStr *format_str(EngRun *run, const Spec *spec, EngValue v)
{
    EngStr *s = eng_repr_str(run, v);
    if (spec->type && spec->type != 's') unknown_code(run, spec->type, v);
    if (spec->sign) eng_value_raise(run, "Sign not allowed in string format specifier");
    if (spec->alternate)
        eng_value_raise(run, "Alternate form (#) not allowed in string format specifier");
    if (spec->grouping) eng_value_raise(run, "Cannot specify '%c' with 's'.", spec->grouping);
    if (spec->align == '=')
        eng_value_raise(run, "'=' alignment not allowed in string format specifier");
    if (spec->precision >= 0 && (size_t)spec->precision < s->chars)
        s = eng_str_slice(run, s, 0, 1, spec->precision);
    return pad(run, spec, spec->align ? spec->align : '<', "", s);
}

/* A precision without a type: like 'g', but a number that is not written with an exponent has a
 * digit behind its point, for which one of the digits is kept. */
static EngStr *general(EngRun *run, double f, int precision, bool alternate)
{
    EngStr *body = eng_repr_printf_float(run, f, 'g', precision, alternate);
    if (!isfinite(f) || memchr(body->data, 'e', body->n)) return body;
    const char *point = memchr(body->data, '.', body->n);
    size_t whole = point ? (size_t)(point - body->data) : body->n;
    if (body->data[0] == '0' && f != 0) whole = 0;
    EngText t = {0};
    if (whole < (size_t)precision) {
        if (point) return body;
        eng_text_str(run, &t, body);
        eng_text_puts(run, &t, ".0");
        return eng_text_take(run, &t);
    }
    body = eng_repr_printf_float(run, f, 'e', precision - 1, alternate);
    const char *e = memchr(body->data, 'e', body->n), *end = e;
    if (!alternate && memchr(body->data, '.', body->n)) {
        while (end[-1] == '0') end--;
        if (end[-1] == '.') end--;
    }
    eng_text_add(run, &t, body->data, (size_t)(end - body->data));
    eng_text_add(run, &t, e, body->n - (size_t)(e - body->data));
    return eng_text_take(run, &t);
}

static EngStr *format_float(EngRun *run, const Spec *spec, EngValue v)
{
    char type = spec->type ? spec->type : 'r';
    if (!strchr("reEfFgGn%", type)) unknown_code(run, spec->type, v);
    double f = eng_value_as_double(run, v);
    bool minus = signbit(f) && !isnan(f), percent = type == '%';
    int precision = spec->precision < 0 ? 6 : (int)spec->precision;
    if (minus) f = -f;
    EngStr *body;
    if (percent) f *= 100;
    if (type == 'r' && spec->precision < 0) {
        EngText t = {0};
        eng_repr_add_float(run, &t, f);
        body = eng_text_take(run, &t);
    } else {
        char kind = percent ? 'f' : type == 'n' ? 'g' : type;
        body = type == 'r' ? general(run, f, ENG_MAX(precision, 1), spec->alternate)
                           : eng_repr_printf_float(run, f, kind, precision, spec->alternate);
    }
    if (percent) body = eng_str_concat(run, body, eng_str_char(run, '%'));
    const char *sign = sign_text(spec, minus);
    if (spec->grouping) body = group(run, spec, sign, body, 3);
    return pad(run, spec, spec->align ? spec->align : '>', sign, body);
}

static EngStr *format_int(EngRun *run, const Spec *spec, EngValue v)
{
    char type = spec->type ? spec->type : 'd';
    if (type && strchr("eEfFgG%", type)) return format_float(run, spec, v);
    if (!strchr("bcdoxXn", type)) unknown_code(run, spec->type, v);
    if (spec->precision >= 0)
        eng_value_raise(run, "Precision not allowed in integer format specifier");
    if (type == 'c') {
        int64_t cp;
        if (spec->sign) eng_value_raise(run, "Sign not allowed with integer format specifier 'c'");
        if (spec->alternate)
            eng_value_raise(run,
                            "Alternate form (#) not allowed with integer format specifier 'c'");
        if (!eng_value_int_like(v, &cp) || cp < 0 || cp > 0x10ffff)
            eng_value_raise(run, "%%c arg not in range(0x110000)");
        return pad(run, spec, spec->align ? spec->align : '>', "", eng_str_char(run, (uint32_t)cp));
    }
    int base = type == 'b' ? 2 : type == 'o' ? 8 : type == 'x' || type == 'X' ? 16 : 10;
    EngStr *digits = eng_builtin_digits(run, v, base);
    bool minus = digits->data[0] == '-';
    if (minus) digits = eng_str_cut(run, digits, 1, digits->n);
    if (type == 'X') digits = eng_str_upper(run, digits);
    char sign[8] = "";
    strcpy(sign, sign_text(spec, minus));
    if (spec->alternate && base != 10) {
        size_t n = strlen(sign);
        memcpy(sign + n, (char[3]){'0', type, 0}, 3);
    }
    if (spec->grouping) digits = group(run, spec, sign, digits, base == 10 ? 3 : 4);
    return pad(run, spec, spec->align ? spec->align : '>', sign, digits);
}

EngStr *eng_format_spec(EngRun *run, EngValue v, const EngStr *text)
{
    if (text->n == 0) return eng_repr_str(run, v);
    if (v.type != ENG_V_STR && !eng_value_is_number(v))
        eng_value_raise(run, "unsupported format string passed to %s.__format__",
                        eng_value_type_name(v));
    Spec spec = read_spec(run, v, text);
    if (v.type == ENG_V_STR) return format_str(run, &spec, v);
    if (v.type == ENG_V_FLOAT) return format_float(run, &spec, v);
    return format_int(run, &spec, v);
}

/* ---- {} ---- */

typedef struct {
    EngRun *run;
    const EngArgs *args;
    int64_t automatic; /* next number; -1: manual numbers are in use */
    bool markup;
} Braces;

static EngStr *expand(Braces *b, const EngStr *format, int depth);

static bool all_digits(const EngStr *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->data[i] < '0' || s->data[i] > '9') return false;
    return s->n > 0;
}

static EngValue first_value(Braces *b, const EngStr *name)
{
    if (name->n == 0) {
        if (b->automatic < 0)
            eng_value_raise(b->run, "cannot switch from manual field specification to automatic "
                                    "field numbering");
        if ((size_t)b->automatic >= b->args->n) eng_value_raise(b->run, "tuple index out of range");
        return b->args->pos[b->automatic++];
    }
    if (all_digits(name)) {
        if (b->automatic > 0)
            eng_value_raise(b->run, "cannot switch from manual field specification to automatic "
                                    "field numbering");
        b->automatic = -1;
        EngValue i = eng_builtin_parse_int(b->run, name->data, name->n);
        if (i.type != ENG_V_INT || (uint64_t)i.u.i >= b->args->n)
            eng_value_raise(b->run, "tuple index out of range");
        return b->args->pos[i.u.i];
    }
    for (size_t i = 0; i < b->args->n_named; i++)
        if (eng_str_equal(b->args->named[i].key.u.str, name)) return b->args->named[i].value;
    eng_value_raise_str(b->run,
                        eng_repr_of(b->run, eng_value_str(eng_str_cut(b->run, name, 0, name->n))));
}

static EngValue field_value(Braces *b, const EngStr *field)
{
    size_t at = 0;
    while (at < field->n && field->data[at] != '.' && field->data[at] != '[') at++;
    EngValue v = first_value(b, eng_str_cut(b->run, field, 0, at));
    while (at < field->n) {
        char open = field->data[at++];
        size_t from = at;
        while (at < field->n && (open == '[' ? field->data[at] != ']'
                                             : field->data[at] != '.' && field->data[at] != '['))
            at++;
        EngStr *name = eng_str_cut(b->run, field, from, at);
        if (open == '[' && at == field->n) eng_value_raise(b->run, "Missing ']' in format string");
        if (name->n == 0) eng_value_raise(b->run, "Empty attribute in format string");
        if (open == '.') {
            v = eng_attribute_get(b->run, v, name);
            continue;
        }
        at++;
        v = eng_attribute_item(b->run, v,
                               all_digits(name) ? eng_builtin_parse_int(b->run, name->data, name->n)
                                                : eng_value_str(name));
        if (at < field->n && field->data[at] != '.' && field->data[at] != '[')
            eng_value_raise(b->run, "Only '.' or '[' may follow ']' in format field specifier");
    }
    return v;
}

static EngValue converted(Braces *b, EngValue v, char conversion)
{
    switch (conversion) {
    case 0: return v;
    case 's': return eng_value_str(eng_repr_str(b->run, v));
    case 'r': return eng_value_str(eng_repr_of(b->run, v));
    case 'a': return eng_value_str(eng_builtin_ascii(b->run, eng_repr_of(b->run, v)));
    default: eng_value_raise(b->run, "Unknown conversion specifier %c", conversion);
    }
}

/* The replacement field whose text (between the braces) is `field`. */
static void add_field(Braces *b, EngText *out, const EngStr *field, int depth)
{
    size_t end = 0;
    bool in_brackets = false;
    while (end < field->n &&
           (in_brackets || (field->data[end] != ':' && field->data[end] != '!'))) {
        in_brackets = in_brackets ? field->data[end] != ']' : field->data[end] == '[';
        end++;
    }
    char conversion = 0;
    size_t spec = end;
    if (end < field->n && field->data[end] == '!') {
        if (end + 1 >= field->n)
            eng_value_raise(b->run, "end of string while looking for conversion specifier");
        conversion = field->data[end + 1];
        spec = end + 2;
        if (spec < field->n && field->data[spec] != ':')
            eng_value_raise(b->run, "expected ':' after conversion specifier");
    }
    EngValue v = field_value(b, eng_str_cut(b->run, field, 0, end));
    v = converted(b, v, conversion);
    EngStr *text = eng_str_cut(b->run, field, spec < field->n ? spec + 1 : field->n, field->n);
    text = expand(b, text, depth + 1);
    EngStr *s = eng_format_spec(b->run, v, text);
    bool safe = v.type == ENG_V_STR && v.u.str->markup;
    if (b->markup && !safe) s = eng_str_escape(b->run, s);
    eng_text_str(b->run, out, s);
}

static EngStr *expand(Braces *b, const EngStr *format, int depth)
{
    EngText out = {0};
    if (depth > 2) eng_value_raise(b->run, "Max string recursion exceeded");
    for (size_t at = 0; at < format->n;) {
        char c = format->data[at];
        bool twice = at + 1 < format->n && format->data[at + 1] == c;
        eng_value_steps(b->run, 1);
        if ((c != '{' && c != '}') || twice) {
            eng_text_add(b->run, &out, &c, 1);
            at += twice && (c == '{' || c == '}') ? 2 : 1;
            continue;
        }
        if (c == '}') eng_value_raise(b->run, "Single '}' encountered in format string");
        if (at + 1 == format->n) eng_value_raise(b->run, "Single '{' encountered in format string");
        size_t from = ++at, open = 1;
        for (; at < format->n && open > 0; at++)
            open += format->data[at] == '{' ? 1u : format->data[at] == '}' ? (size_t)-1 : 0u;
        if (open > 0) eng_value_raise(b->run, "expected '}' before end of string");
        add_field(b, &out, eng_str_cut(b->run, format, from, at - 1), depth);
    }
    return eng_text_take(b->run, &out);
}

EngStr *eng_format_braces(EngRun *run, const EngStr *format, const EngArgs *args)
{
    Braces b = {.run = run, .args = args, .markup = format->markup};
    EngStr *s = expand(&b, format, 0);
    s->markup = format->markup;
    return s;
}
