/* printf-style formatting: str % values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/value/format.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

typedef struct {
    EngRun *run;
    const EngStr *format;
    size_t at;
    EngValue values;
    size_t next;      /* of a tuple's values */
    bool single_used; /* the one value that is not a tuple */
    EngText out;
} Percent;

typedef struct {
    bool left, plus, space, zero, alternate;
    int64_t width, precision; /* -1: none */
    EngValue value;
    bool has_value;
} Spec;

static bool is_mapping(EngValue v) /* what PyMapping_Check accepts, but for str and tuple */
{
    return v.type == ENG_V_DICT || v.type == ENG_V_LIST || v.type == ENG_V_RANGE ||
           v.type == ENG_V_UNDEFINED;
}

static EngValue next_value(Percent *p)
{
    if (p->values.type == ENG_V_TUPLE) {
        if (p->next < p->values.u.list->n) return p->values.u.list->items[p->next++];
    } else if (!p->single_used) {
        p->single_used = true;
        return p->values;
    }
    eng_value_raise(p->run, "not enough arguments for format string");
}

static char next_char(Percent *p)
{
    if (p->at >= p->format->n) eng_value_raise(p->run, "incomplete format");
    return p->format->data[p->at++];
}

static void read_key(Percent *p, Spec *spec)
{
    size_t from = ++p->at, depth = 1;
    if (!is_mapping(p->values)) eng_value_raise(p->run, "format requires a mapping");
    while (p->at < p->format->n && depth > 0) {
        char c = p->format->data[p->at++];
        depth += c == '(' ? 1u : c == ')' ? (size_t)-1 : 0u;
    }
    if (depth > 0) eng_value_raise(p->run, "incomplete format key");
    EngValue key = eng_value_str(eng_str_cut(p->run, p->format, from, p->at - 1));
    if (p->values.type == ENG_V_UNDEFINED) eng_value_raise_undefined(p->run, p->values);
    if (p->values.type != ENG_V_DICT)
        eng_value_raise(p->run, "%s indices must be integers or slices, not str",
                        eng_value_type_name(p->values));
    if (!eng_dict_get(p->run, p->values.u.dict, key, &spec->value))
        eng_value_raise_str(p->run, eng_repr_of(p->run, key));
    spec->has_value = true;
}

static int64_t read_size(Percent *p, const char *too_big)
{
    int64_t n = 0;
    while (p->at < p->format->n && p->format->data[p->at] >= '0' && p->format->data[p->at] <= '9') {
        n = n * 10 + (p->format->data[p->at++] - '0');
        if (n > INT32_MAX) eng_value_raise(p->run, "%s", too_big);
    }
    return n;
}

static int64_t star_size(Percent *p)
{
    int64_t n;
    p->at++;
    if (!eng_value_int_like(next_value(p), &n)) eng_value_raise(p->run, "* wants int");
    return n;
}

static void read_spec(Percent *p, Spec *spec)
{
    if (p->at < p->format->n && p->format->data[p->at] == '(') read_key(p, spec);
    for (;; p->at++) {
        char c = p->at < p->format->n ? p->format->data[p->at] : 0;
        if (c == '-')
            spec->left = true;
        else if (c == '+')
            spec->plus = true;
        else if (c == ' ')
            spec->space = true;
        else if (c == '#')
            spec->alternate = true;
        else if (c == '0')
            spec->zero = true;
        else
            break;
    }
    bool more = p->at < p->format->n;
    spec->width =
        more && p->format->data[p->at] == '*' ? star_size(p) : read_size(p, "width too big");
    if (spec->width < 0) {
        spec->left = true;
        spec->width = -spec->width;
    }
    spec->precision = -1;
    if (p->at < p->format->n && p->format->data[p->at] == '.') {
        p->at++;
        bool star = p->at < p->format->n && p->format->data[p->at] == '*';
        spec->precision = star ? star_size(p) : read_size(p, "precision too big");
        if (spec->precision < 0) spec->precision = 0;
    }
    while (p->at < p->format->n && strchr("hlL", p->format->data[p->at])) p->at++;
}

/* sign/prefix, then zeros, then body; or blanks around. */
static void add_padded(Percent *p, const Spec *spec, const char *sign, const char *prefix,
                       const EngStr *body, bool zeros)
{
    int64_t used = (int64_t)(strlen(sign) + strlen(prefix) + body->chars);
    size_t pad = spec->width > used ? (size_t)(spec->width - used) : 0;
    zeros = zeros && spec->zero && !spec->left;
    if (!spec->left && !zeros) eng_text_fill(p->run, &p->out, ' ', pad);
    eng_text_puts(p->run, &p->out, sign);
    eng_text_puts(p->run, &p->out, prefix);
    if (zeros) eng_text_fill(p->run, &p->out, '0', pad);
    eng_text_str(p->run, &p->out, body);
    if (spec->left) eng_text_fill(p->run, &p->out, ' ', pad);
}

static void add_string(Percent *p, const Spec *spec, char kind, EngValue v)
{
    EngStr *s = kind == 's' ? eng_repr_soft(p->run, v) : eng_repr_of(p->run, v);
    if (kind == 'a') s = eng_builtin_ascii(p->run, s);
    if (p->format->markup && !(s->markup && kind == 's')) s = eng_str_escape(p->run, s);
    if (spec->precision >= 0 && (size_t)spec->precision < s->chars)
        s = eng_str_slice(p->run, s, 0, 1, spec->precision);
    add_padded(p, spec, "", "", s, false);
}

static void add_integer(Percent *p, const Spec *spec, char kind, EngValue v)
{
    bool decimal = kind == 'd' || kind == 'i' || kind == 'u';
    if (v.type == ENG_V_FLOAT && decimal) v = eng_builtin_truncate(p->run, v.u.f);
    if (v.type != ENG_V_INT && v.type != ENG_V_BOOL && v.type != ENG_V_BIG) {
        if (v.type == ENG_V_UNDEFINED && decimal) eng_value_raise_undefined(p->run, v);
        eng_value_raise(p->run, "%%%c format: %s is required, not %s", kind,
                        decimal ? "a real number" : "an integer", eng_value_type_name(v));
    }
    EngStr *digits = eng_builtin_digits(p->run, v, decimal ? 10 : kind == 'o' ? 8 : 16);
    bool minus = digits->data[0] == '-';
    if (minus) digits = eng_str_cut(p->run, digits, 1, digits->n);
    if (kind == 'X') digits = eng_str_upper(p->run, digits);
    if (spec->precision > (int64_t)digits->n) {
        EngText t = {0};
        eng_text_fill(p->run, &t, '0', (size_t)spec->precision - digits->n);
        eng_text_str(p->run, &t, digits);
        digits = eng_text_take(p->run, &t);
    }
    const char *prefix = !spec->alternate || decimal ? ""
                         : kind == 'o'               ? "0o"
                         : kind == 'x'               ? "0x"
                                                     : "0X";
    add_padded(p, spec,
               minus         ? "-"
               : spec->plus  ? "+"
               : spec->space ? " "
                             : "",
               prefix, digits, true);
}

static void add_real(Percent *p, const Spec *spec, char kind, EngValue v)
{
    if (v.type == ENG_V_UNDEFINED) eng_value_raise_undefined(p->run, v);
    if (!eng_value_is_number(v))
        eng_value_raise(p->run, "must be real number, not %s", eng_value_type_name(v));
    double f = eng_value_as_double(p->run, v);
    int precision = spec->precision < 0 ? 6 : (int)spec->precision;
    EngStr *digits =
        eng_repr_printf_float(p->run, isnan(f) ? f : fabs(f), kind, precision, spec->alternate);
    if (digits->data[0] == '-') digits = eng_str_cut(p->run, digits, 1, digits->n); /* -nan */
    bool minus = signbit(f) && !isnan(f);
    add_padded(p, spec, minus ? "-" : spec->plus ? "+" : spec->space ? " " : "", "", digits, true);
}

static void add_char(Percent *p, const Spec *spec, EngValue v)
{
    int64_t cp;
    EngStr *s;
    if (v.type == ENG_V_STR && v.u.str->chars == 1) {
        s = v.u.str;
    } else {
        if (!eng_value_int_like(v, &cp)) eng_value_raise(p->run, "%%c requires int or char");
        if (cp < 0 || cp > 0x10ffff) eng_value_raise(p->run, "%%c arg not in range(0x110000)");
        s = eng_str_char(p->run, (uint32_t)cp);
    }
    add_padded(p, spec, "", "", s, false);
}

static void convert(Percent *p)
{
    Spec spec = {0};
    read_spec(p, &spec);
    size_t at = p->at;
    char kind = next_char(p);
    if (kind == '%') {
        eng_text_puts(p->run, &p->out, "%");
        return;
    }
    EngValue v = spec.has_value ? spec.value : next_value(p);
    if (strchr("sra", kind))
        add_string(p, &spec, kind, v);
    else if (strchr("diuoxX", kind))
        add_integer(p, &spec, kind, v);
    else if (strchr("eEfFgG", kind))
        add_real(p, &spec, kind, v);
    else if (kind == 'c')
        add_char(p, &spec, v);
    else {
        uint32_t cp;
        eng_str_decode(p->format->data + at, &cp);
        eng_value_raise(p->run, "unsupported format character '%c' (0x%x) at index %zu",
                        cp > 31 && cp < 128 ? (int)cp : '?', cp,
                        eng_str_count(p->format->data, at));
    }
}

EngStr *eng_format_percent(EngRun *run, const EngStr *format, EngValue values)
{
    Percent p = {.run = run, .format = format, .values = values};
    while (p.at < format->n) {
        const char *hit = memchr(format->data + p.at, '%', format->n - p.at);
        size_t to = hit ? (size_t)(hit - format->data) : format->n;
        eng_text_add(run, &p.out, format->data + p.at, to - p.at);
        p.at = to;
        if (!hit) break;
        p.at++;
        eng_value_steps(run, 1);
        convert(&p);
    }
    bool unused = values.type == ENG_V_TUPLE ? p.next < values.u.list->n
                                             : !p.single_used && !is_mapping(values);
    if (unused) eng_value_raise(run, "not all arguments converted during string formatting");
    EngStr *s = eng_text_take(run, &p.out);
    s->markup = format->markup;
    return s;
}
