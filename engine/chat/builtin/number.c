/* Numbers: conversions shared by all, and the filters that make or change numbers. */
#include <math.h>
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static _Noreturn void too_large(EngRun *run)
{
    eng_value_raise(run,
                    "The template computes an integer beyond 64 bits, which is not supported.");
}

/* ---- conversions ---- */

EngValue eng_builtin_parse_int(EngRun *run, const char *digits, size_t n)
{
    return eng_builtin_parse_int_base(run, digits, n, 10);
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

EngValue eng_builtin_parse_int_base(EngRun *run, const char *digits, size_t n, int base)
{
    bool minus = n > 0 && digits[0] == '-';
    size_t at = n > 0 && (digits[0] == '-' || digits[0] == '+');
    int letter = n - at > 2 && digits[at] == '0' ? digits[at + 1] | 32 : 0;
    int by_prefix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (by_prefix && (base == 0 || base == by_prefix)) {
        base = by_prefix;
        at += 2;
    }
    if (base == 0) base = 10;
    while (at + 1 < n && digits[at] == '0') at++;
    uint64_t sum = 0;
    bool big = false;
    for (size_t i = at; i < n; i++) {
        big = big || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
              __builtin_add_overflow(sum, (uint64_t)digit_value(digits[i]), &sum);
    }
    if (!big && sum <= (uint64_t)INT64_MAX + (minus ? 1 : 0))
        return eng_value_int(minus ? (int64_t)(0 - sum) : (int64_t)sum);
    if (base != 10) too_large(run);
    if (n - at > 4300)
        eng_value_raise(run,
                        "Exceeds the limit (4300 digits) for integer string conversion: value has "
                        "%zu digits; use sys.set_int_max_str_digits() to increase the limit",
                        n - at);
    EngText t = {0};
    if (minus) eng_text_puts(run, &t, "-");
    eng_text_add(run, &t, digits + at, n - at);
    return (EngValue){ENG_V_BIG, {.str = eng_text_take(run, &t)}};
}

/* Digits with single underscores between them are copied without; -1: not that. */
static int64_t plain_digits(const EngStr *s, size_t at, int base, char *out)
{
    int64_t n = 0;
    bool after_digit = false;
    for (; at < s->n; at++) {
        if (s->data[at] == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (digit_value(s->data[at]) >= base) return -1;
        out[n++] = s->data[at];
        after_digit = true;
    }
    return after_digit ? n : -1;
}

bool eng_builtin_int_of_text(EngRun *run, const EngStr *text, int base, EngValue *ret)
{
    const EngStr *s = eng_str_strip(run, text, NULL, ENG_STRIP_LEFT | ENG_STRIP_RIGHT);
    char *digits = eng_value_alloc(run, s->n + 2);
    size_t at = 0;
    bool minus = s->n > 0 && s->data[0] == '-';
    if (s->n > 0 && (s->data[0] == '-' || s->data[0] == '+')) at++;
    int letter = s->n - at > 2 && s->data[at] == '0' ? s->data[at + 1] | 32 : 0;
    int prefix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefix && (base == 0 || base == prefix)) {
        at += 2;
        if (s->data[at] == '_') at++;
        base = prefix;
    } else if (base == 0) {
        base = 10;
        if (s->n - at > 1 && s->data[at] == '0')
            for (size_t i = at; i < s->n; i++)
                if (s->data[i] != '0' && s->data[i] != '_') return false;
    }
    digits[0] = '-';
    int64_t n = plain_digits(s, at, base, digits + 1);
    if (n < 0) return false;
    /* the prefix is gone: a leading "0b" here would be digits of a larger base */
    size_t lead = 1;
    while ((int64_t)lead < n && digits[lead] == '0') lead++;
    digits[lead - 1] = '-';
    *ret = minus ? eng_builtin_parse_int_base(run, digits + lead - 1, (size_t)n + 2 - lead, base)
                 : eng_builtin_parse_int_base(run, digits + lead, (size_t)n + 1 - lead, base);
    return true;
}

bool eng_builtin_float_of_text(EngRun *run, const EngStr *text, double *ret)
{
    const EngStr *s = eng_str_strip(run, text, NULL, ENG_STRIP_LEFT | ENG_STRIP_RIGHT);
    EngText t = {0};
    size_t sign = s->n > 0 && (s->data[0] == '-' || s->data[0] == '+');
    EngStr *word = eng_str_lower(run, eng_str_cut(run, s, sign, s->n));
    if (eng_str_is_text(word, "inf") || eng_str_is_text(word, "infinity") ||
        eng_str_is_text(word, "nan")) {
        double f = word->data[0] == 'n' ? (double)NAN : (double)INFINITY;
        *ret = s->data[0] == '-' ? -f : f;
        return true;
    }
    for (size_t i = 0; i < s->n; i++) {
        char c = s->data[i];
        bool between = i > 0 && i + 1 < s->n && digit_value(s->data[i - 1]) < 10 &&
                       digit_value(s->data[i + 1]) < 10;
        if (c == '_' && between) continue;
        if (!c || !strchr("0123456789+-.eE", c)) return false;
        eng_text_add(run, &t, &c, 1);
    }
    return eng_repr_parse_double(run, t.data, t.n, ret);
}

EngValue eng_builtin_truncate(EngRun *run, double f)
{
    if (isnan(f)) eng_value_raise(run, "cannot convert float NaN to integer");
    if (isinf(f)) eng_value_raise(run, "cannot convert float infinity to integer");
    if (f >= -0x1p63 && f < 0x1p63) return eng_value_int((int64_t)f);
    EngStr *digits = eng_repr_printf_float(run, trunc(f), 'f', 0, false);
    return eng_builtin_parse_int(run, digits->data, digits->n);
}

EngStr *eng_builtin_digits(EngRun *run, EngValue v, int base)
{
    if (v.type == ENG_V_BIG) {
        if (base == 10) return v.u.str;
        eng_value_raise(run,
                        "The template formats an integer beyond 64 bits, which is not supported.");
    }
    int64_t i = 0;
    eng_value_int_like(v, &i);
    char buf[66];
    size_t at = sizeof buf;
    uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do {
        buf[--at] = "0123456789abcdef"[rest % (unsigned)base];
        rest /= (unsigned)base;
    } while (rest);
    if (i < 0) buf[--at] = '-';
    return eng_str_new(run, buf + at, sizeof buf - at);
}

int64_t eng_builtin_index(EngRun *run, EngValue v)
{
    int64_t i;
    if (eng_value_int_like(v, &i)) return i;
    if (v.type == ENG_V_BIG) eng_value_raise(run, "Python int too large to convert to C ssize_t");
    eng_value_raise(run, "'%s' object cannot be interpreted as an integer", eng_value_type_name(v));
}

/* ---- filters ---- */

static EngValue filter_int(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue v = a[0], fallback = eng_builtin_or(a[1], eng_value_int(0));
    double f;
    if (v.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, v);
    if (v.type == ENG_V_STR) {
        int64_t base = a[2].type == ENG_V_MISSING ? 10 : 0;
        bool valid = a[2].type == ENG_V_MISSING || eng_value_int_like(a[2], &base);
        EngValue result;
        if (valid && (base == 0 || (base >= 2 && base <= 36)) &&
            eng_builtin_int_of_text(run, v.u.str, (int)base, &result))
            return result;
        if (!eng_builtin_float_of_text(run, v.u.str, &f)) return fallback;
        return isfinite(f) ? eng_builtin_truncate(run, f) : fallback;
    }
    int64_t i;
    if (eng_value_int_like(v, &i)) return eng_value_int(i);
    if (v.type == ENG_V_BIG) return v;
    if (v.type != ENG_V_FLOAT) return fallback;
    if (isnan(v.u.f)) return fallback;
    return eng_builtin_truncate(run, v.u.f); /* int(inf): OverflowError is not caught */
}

static EngValue filter_float(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    double f;
    if (a[0].type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a[0]);
    if (eng_value_is_number(a[0])) return eng_value_float(eng_value_as_double(run, a[0]));
    if (a[0].type == ENG_V_STR && eng_builtin_float_of_text(run, a[0].u.str, &f))
        return eng_value_float(f);
    return eng_builtin_or(a[1], eng_value_float(0));
}

static EngValue filter_abs(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    if (args->n_named) eng_value_raise(run, "abs() takes no keyword arguments");
    if (args->n != 1) eng_value_raise(run, "abs() takes exactly one argument (%zu given)", args->n);
    EngValue v = args->pos[0];
    int64_t i;
    if (v.type == ENG_V_FLOAT) return eng_value_float(fabs(v.u.f));
    if (eng_value_int_like(v, &i)) {
        if (i == INT64_MIN) return eng_builtin_parse_int(run, "9223372036854775808", 19);
        return eng_value_int(i < 0 ? -i : i);
    }
    if (v.type == ENG_V_BIG && v.u.str->data[0] == '-')
        return (EngValue){ENG_V_BIG, {.str = eng_str_cut(run, v.u.str, 1, v.u.str->n)}};
    if (v.type == ENG_V_BIG) return v;
    eng_value_raise(run, "bad operand type for abs(): '%s'", eng_value_type_name(v));
}

/* Rounds to `digits` decimals, halves to even, exact on the decimal expansion of f. */
static double round_float(EngRun *run, double f, int64_t digits)
{
    if (!isfinite(f) || digits > 323) return f;
    if (digits < -308) return copysign(0, f);
    double back = f;
    if (digits >= 0) {
        EngStr *s = eng_repr_printf_float(run, f, 'f', (int)digits, false);
        eng_repr_parse_double(run, s->data, s->n, &back);
        return back;
    }
    double unit = pow(10, (double)-digits);
    back = nearbyint(f / unit) * unit;
    if (isinf(back)) eng_value_raise(run, "rounded value too large to represent");
    return back;
}

/* Halves to even. Integers beyond 64 bits do not compute. */
static EngValue round_int(EngRun *run, EngValue v, int64_t digits)
{
    int64_t i, unit = 1, result;
    bool small = eng_value_int_like(v, &i); /* true is 1 */
    if (digits >= 0) return small ? eng_value_int(i) : v;
    if (!small) too_large(run);
    if (digits < -18) { /* below half of 10^20, not always of 10^19 */
        if (digits == -19 && (i > 5000000000000000000 || i < -5000000000000000000)) too_large(run);
        return eng_value_int(0);
    }
    for (; digits < 0; digits++) unit *= 10;
    int64_t rest = i % unit, units = i / unit;
    if (rest < 0) rest += unit, units--;
    bool up = rest > unit / 2 || (rest == unit / 2 && units % 2 != 0);
    if (up ? __builtin_add_overflow(i, unit - rest, &result)
           : __builtin_sub_overflow(i, rest, &result))
        too_large(run);
    return eng_value_int(result);
}

static EngValue round_up_or_down(EngRun *run, EngValue v, EngValue precision, bool up)
{
    int64_t digits;
    if (v.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, v);
    if (!eng_value_is_number(v) || !eng_value_int_like(precision, &digits))
        eng_value_raise(run, "can't multiply sequence by non-int of type 'float'");
    double scale = pow(10, (double)digits), f = eng_value_as_double(run, v);
    if (v.type != ENG_V_FLOAT && digits >= 0) return eng_value_float(f); /* whole as it is */
    f *= scale;
    if (isnan(f)) eng_value_raise(run, "cannot convert float NaN to integer");
    if (isinf(f)) eng_value_raise(run, "cannot convert float infinity to integer");
    f = up ? ceil(f) : floor(f);
    return eng_value_float((f + 0.0) / scale); /* an integer between: no zero is negative */
}

static EngValue filter_round(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue v = a[0], precision = eng_builtin_or(a[1], eng_value_int(0));
    if (a[2].type != ENG_V_MISSING) {
        bool ceiling = a[2].type == ENG_V_STR && eng_str_is_text(a[2].u.str, "ceil");
        bool lower = a[2].type == ENG_V_STR && eng_str_is_text(a[2].u.str, "floor");
        bool common = a[2].type == ENG_V_STR && eng_str_is_text(a[2].u.str, "common");
        if (!ceiling && !lower && !common) {
            (void)eng_value_hash(run, a[2]);
            eng_value_raise(run, "method must be common, ceil or floor");
        }
        if (!common) return round_up_or_down(run, v, precision, ceiling);
    }
    if (!eng_value_is_number(v))
        eng_value_raise(run, "type %s doesn't define __round__ method", eng_value_type_name(v));
    if (precision.type == ENG_V_NONE)
        return v.type == ENG_V_FLOAT ? eng_builtin_truncate(run, nearbyint(v.u.f))
                                     : round_int(run, v, 0);
    int64_t digits = eng_builtin_index(run, precision);
    if (v.type == ENG_V_FLOAT) return eng_value_float(round_float(run, v.u.f, digits));
    return round_int(run, v, digits);
}

static EngValue filter_filesizeformat(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    static const char prefixes[] = "kMGTPEZY";
    bool binary = a[1].type != ENG_V_MISSING && eng_value_truth(a[1]);
    double f, base = binary ? 1024 : 1000, unit = base;
    if (a[0].type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a[0]);
    if (eng_value_is_number(a[0]))
        f = eng_value_as_double(run, a[0]);
    else if (a[0].type != ENG_V_STR)
        eng_value_raise(run, "float() argument must be a string or a real number, not '%s'",
                        eng_value_type_name(a[0]));
    else if (!eng_builtin_float_of_text(run, a[0].u.str, &f)) {
        EngText t = {0};
        eng_text_puts(run, &t, "could not convert string to float: ");
        eng_repr_add(run, &t, a[0]);
        eng_value_raise_str(run, eng_text_take(run, &t));
    }
    if (f == 1) return eng_value_text(run, "1 Byte");
    EngText t = {0};
    if (f < base) {
        eng_repr_add(run, &t, eng_builtin_truncate(run, f));
        eng_text_puts(run, &t, " Bytes");
        return eng_value_str(eng_text_take(run, &t));
    }
    size_t i = 0;
    for (unit *= base; i < 7 && !(f < unit); i++) unit *= base;
    eng_text_str(run, &t, eng_repr_printf_float(run, base * f / unit, 'f', 1, false));
    char prefix = binary && i == 0 ? 'K' : prefixes[i];
    eng_text_printf(run, &t, " %c%sB", prefix, binary ? "i" : "");
    return eng_value_str(eng_text_take(run, &t));
}

const EngFilter eng_builtin_number_filters[] = {
    {"abs", filter_abs, "abs", NULL, 0, 0},
    {"filesizeformat", filter_filesizeformat, "do_filesizeformat", "value binary", 1, 0},
    {"float", filter_float, "do_float", "value default", 1, 0},
    {"int", filter_int, "do_int", "value default base", 1, 0},
    {"round", filter_round, "do_round", "value precision method", 1, 0},
    ENG_BUILTIN_END,
};
