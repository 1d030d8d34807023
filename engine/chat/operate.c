/* Python's operators. */
#include <math.h>
#include <string.h>

#include "chat/eval.h"
#include "chat/value/format.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static const char *sign_of(EngNodeKind op)
{
    switch (op) {
    case ENG_N_ADD: return "+";
    case ENG_N_SUB: return "-";
    case ENG_N_MUL: return "*";
    case ENG_N_DIV: return "/";
    case ENG_N_FLOORDIV: return "//";
    case ENG_N_MOD: return "%";
    default: return "** or pow()";
    }
}

static _Noreturn void unsupported(EngRun *run, EngNodeKind op, EngValue a, EngValue b)
{
    eng_value_raise(run, "unsupported operand type(s) for %s: '%s' and '%s'", sign_of(op),
                    eng_value_type_name(a), eng_value_type_name(b));
}

static _Noreturn void too_large(EngRun *run)
{
    eng_value_raise(run,
                    "The template computes an integer beyond 64 bits, which is not supported.");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return (a % b != 0 && (a < 0) != (b < 0)) ? q - 1 : q;
}

static EngValue int_power(EngRun *run, int64_t base, int64_t exponent)
{
    if (exponent < 0) {
        if (base == 0) eng_value_raise(run, "0.0 cannot be raised to a negative power");
        return eng_value_float(pow((double)base, (double)exponent));
    }
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) too_large(run);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base)) too_large(run);
    }
    return eng_value_int(result);
}

static EngValue ints(EngRun *run, EngNodeKind op, int64_t a, int64_t b)
{
    int64_t r = 0;
    bool overflow = false;
    if (b == 0 && op == ENG_N_DIV) eng_value_raise(run, "division by zero");
    if (b == 0 && op == ENG_N_FLOORDIV) eng_value_raise(run, "integer division or modulo by zero");
    if (b == 0 && op == ENG_N_MOD) eng_value_raise(run, "integer modulo by zero");
    switch (op) {
    case ENG_N_ADD: overflow = __builtin_add_overflow(a, b, &r); break;
    case ENG_N_SUB: overflow = __builtin_sub_overflow(a, b, &r); break;
    case ENG_N_MUL: overflow = __builtin_mul_overflow(a, b, &r); break;
    case ENG_N_DIV: return eng_value_float((double)a / (double)b);
    case ENG_N_FLOORDIV:
        if (b == -1)
            overflow = __builtin_sub_overflow((int64_t)0, a, &r);
        else
            r = floor_div(a, b);
        break;
    case ENG_N_MOD: r = b == -1 ? 0 : a - floor_div(a, b) * b; break;
    default: return int_power(run, a, b);
    }
    if (overflow) too_large(run);
    return eng_value_int(r);
}

static double float_mod(double a, double b)
{
    double mod = fmod(a, b);
    if (mod == 0) return copysign(0, b);
    return (b < 0) != (mod < 0) ? mod + b : mod;
}

static double float_floor_div(double a, double b)
{
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0 && (b < 0) != (mod < 0)) div -= 1;
    if (div == 0) return copysign(0, a / b);
    double whole = floor(div);
    return div - whole > 0.5 ? whole + 1 : whole;
}

static double float_power(EngRun *run, double a, double b)
{
    if (a == 0 && b < 0) eng_value_raise(run, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(b) && floor(b) != b)
        eng_value_raise(run, "The template computes a complex number, which is not supported.");
    double r = pow(a, b);
    if (isinf(r) && isfinite(a) && isfinite(b))
        eng_value_raise(run, "(34, 'Numerical result out of range')");
    return r;
}

static EngValue floats(EngRun *run, EngNodeKind op, double a, double b)
{
    if (b == 0 && op == ENG_N_DIV) eng_value_raise(run, "float division by zero");
    if (b == 0 && op == ENG_N_FLOORDIV) eng_value_raise(run, "float floor division by zero");
    if (b == 0 && op == ENG_N_MOD) eng_value_raise(run, "float modulo");
    switch (op) {
    case ENG_N_ADD: return eng_value_float(a + b);
    case ENG_N_SUB: return eng_value_float(a - b);
    case ENG_N_MUL: return eng_value_float(a * b);
    case ENG_N_DIV: return eng_value_float(a / b);
    case ENG_N_FLOORDIV: return eng_value_float(float_floor_div(a, b));
    case ENG_N_MOD: return eng_value_float(float_mod(a, b));
    default: return eng_value_float(float_power(run, a, b));
    }
}

static EngValue add_sequences(EngRun *run, EngValue a, EngValue b)
{
    if (a.type == ENG_V_STR && b.type == ENG_V_STR) {
        EngStr *x = a.u.str, *y = b.u.str;
        if (!x->markup && !y->markup) return eng_value_str(eng_str_concat(run, x, y));
        if (!x->markup) x = eng_str_escape(run, x);
        if (!y->markup) y = eng_str_escape(run, y);
        return eng_value_str(eng_str_mark(run, eng_str_concat(run, x, y), true));
    }
    if (a.type == ENG_V_STR && a.u.str->markup) unsupported(run, ENG_N_ADD, a, b);
    if (a.type != b.type)
        eng_value_raise(run, "can only concatenate %s (not \"%s\") to %s", eng_value_type_name(a),
                        eng_value_type_name(b), eng_value_type_name(a));
    EngList *list = eng_value_list_new(run, a.u.list->n + b.u.list->n);
    if (a.u.list->n) memcpy(list->items, a.u.list->items, a.u.list->n * sizeof *list->items);
    if (b.u.list->n)
        memcpy(list->items + a.u.list->n, b.u.list->items, b.u.list->n * sizeof *list->items);
    eng_value_steps(run, list->n / 16);
    return a.type == ENG_V_LIST ? eng_value_list(list) : eng_value_tuple(list);
}

static bool is_sequence(EngValue v)
{
    return v.type == ENG_V_STR || v.type == ENG_V_LIST || v.type == ENG_V_TUPLE;
}

static EngValue repeat(EngRun *run, EngValue v, int64_t times)
{
    if (v.type == ENG_V_STR) {
        EngStr *s = eng_str_repeat(run, v.u.str, times);
        return eng_value_str(v.u.str->markup ? eng_str_mark(run, s, true) : s);
    }
    size_t n = v.u.list->n;
    if (times < 0) times = 0;
    if (n && (uint64_t)times > ENG_RUN_MEMORY / n) times = (int64_t)(ENG_RUN_MEMORY / n) + 1;
    EngList *list = eng_value_list_new(run, n * (size_t)times);
    for (size_t i = 0; i < list->n; i++) list->items[i] = v.u.list->items[i % n];
    eng_value_steps(run, list->n / 16);
    return v.type == ENG_V_LIST ? eng_value_list(list) : eng_value_tuple(list);
}

static EngValue multiply(EngRun *run, EngValue a, EngValue b)
{
    int64_t times;
    if (is_sequence(a) && eng_value_int_like(b, &times)) return repeat(run, a, times);
    if (is_sequence(b) && eng_value_int_like(a, &times)) return repeat(run, b, times);
    if (is_sequence(a) || is_sequence(b)) {
        EngValue other = is_sequence(a) ? b : a;
        if (other.type == ENG_V_BIG)
            eng_value_raise(run, "cannot fit 'int' into an index-sized integer");
        eng_value_raise(run, "can't multiply sequence by non-int of type '%s'",
                        eng_value_type_name(other));
    }
    unsupported(run, ENG_N_MUL, a, b);
}

EngValue eng_operate(EngRun *run, EngNodeKind op, EngValue a, EngValue b)
{
    int64_t i, j;
    if (op == ENG_N_MOD && a.type == ENG_V_STR)
        return eng_value_str(eng_format_percent(run, a.u.str, b));
    if (a.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a);
    if (b.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, b);
    if (eng_value_int_like(a, &i) && eng_value_int_like(b, &j)) return ints(run, op, i, j);
    if (eng_value_is_number(a) && eng_value_is_number(b)) {
        if (a.type != ENG_V_FLOAT && b.type != ENG_V_FLOAT) too_large(run);
        return floats(run, op, eng_value_as_double(run, a), eng_value_as_double(run, b));
    }
    if (op == ENG_N_ADD && is_sequence(a)) return add_sequences(run, a, b);
    if (op == ENG_N_MUL) return multiply(run, a, b);
    unsupported(run, op, a, b);
}

EngValue eng_operate_unary(EngRun *run, EngNodeKind op, EngValue a)
{
    int64_t i;
    if (a.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a);
    if (eng_value_int_like(a, &i)) {
        if (op == ENG_N_NEG && __builtin_sub_overflow((int64_t)0, i, &i)) too_large(run);
        return eng_value_int(i);
    }
    if (a.type == ENG_V_FLOAT) return eng_value_float(op == ENG_N_NEG ? -a.u.f : a.u.f);
    if (a.type == ENG_V_BIG && op == ENG_N_POS) return a;
    if (a.type == ENG_V_BIG) {
        EngStr *s = a.u.str;
        EngStr *digits = s->data[0] == '-' ? eng_str_cut(run, s, 1, s->n)
                                           : eng_str_concat(run, eng_str_char(run, '-'), s);
        return (EngValue){ENG_V_BIG, {.str = digits}};
    }
    eng_value_raise(run, "bad operand type for unary %s: '%s'", op == ENG_N_NEG ? "-" : "+",
                    eng_value_type_name(a));
}

/* ---- slices ---- */

static int64_t slice_part(EngRun *run, EngValue v)
{
    int64_t i;
    if (eng_value_int_like(v, &i)) return i;
    if (v.type == ENG_V_BIG) return v.u.str->data[0] == '-' ? INT64_MIN : INT64_MAX;
    eng_value_raise(run, "slice indices must be integers or None or have an __index__ method");
}

static int64_t clamp_index(int64_t i, int64_t n, int64_t lowest, int64_t highest)
{
    if (i < 0) {
        i += n;
        return i < 0 ? lowest : i;
    }
    return i >= n ? highest : i;
}

EngValue eng_operate_slice(EngRun *run, EngValue v, EngValue start, EngValue stop, EngValue step)
{
    size_t size;
    if (v.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, v);
    if (v.type == ENG_V_DICT) eng_value_raise(run, "unhashable type: 'slice'");
    if (!is_sequence(v) && v.type != ENG_V_RANGE)
        eng_value_raise(run, "'%s' object is not subscriptable", eng_value_type_name(v));
    eng_value_len(v, &size);
    int64_t n = (int64_t)size, by = step.type == ENG_V_NONE ? 1 : slice_part(run, step);
    if (by == 0) eng_value_raise(run, "slice step cannot be zero");
    if (by == INT64_MIN) by = -INT64_MAX;
    int64_t lowest = by < 0 ? -1 : 0, highest = by < 0 ? n - 1 : n;
    int64_t from = start.type == ENG_V_NONE
                       ? (by < 0 ? highest : 0)
                       : clamp_index(slice_part(run, start), n, lowest, highest);
    int64_t to = stop.type == ENG_V_NONE ? (by < 0 ? -1 : n)
                                         : clamp_index(slice_part(run, stop), n, lowest, highest);
    int64_t count = by > 0 ? (to > from ? (to - from - 1) / by + 1 : 0)
                           : (from > to ? (from - to - 1) / -by + 1 : 0);
    if (v.type == ENG_V_STR) {
        EngStr *s = eng_str_slice(run, v.u.str, from, by, count);
        return eng_value_str(v.u.str->markup ? eng_str_mark(run, s, true) : s);
    }
    if (v.type == ENG_V_RANGE) {
        EngRange *r = eng_value_alloc(run, sizeof *r);
        const EngRange *old = v.u.range;
        r->step = old->step * by;
        r->start = old->start + from * old->step;
        r->stop = old->start + to * old->step;
        r->n = count;
        return (EngValue){ENG_V_RANGE, {.range = r}};
    }
    EngList *list = eng_value_list_new(run, (size_t)count);
    for (int64_t i = 0; i < count; i++) list->items[i] = v.u.list->items[from + i * by];
    eng_value_steps(run, list->n / 16);
    return v.type == ENG_V_LIST ? eng_value_list(list) : eng_value_tuple(list);
}
