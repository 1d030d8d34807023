#include "chat/value/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "chat/value/repr.h"
#include "chat/value/str.h"

/* ---- memory, limits, failure ---- */

void *eng_value_alloc(EngRun *run, size_t n)
{
    if (n > ENG_RUN_MEMORY || run->allocated + n > ENG_RUN_MEMORY) eng_value_raise_str(run, NULL);
    run->allocated += n + 16;
    return eng_arena_alloc(&run->arena, n);
}

void eng_value_raise_str(EngRun *run, EngStr *message)
{
    static EngStr no_memory = {
        .data = "The template needs more than 1024 MiB of memory.", .n = 48, .chars = 48};
    run->message = message ? message : &no_memory;
    longjmp(run->trap, 1);
}

void eng_value_raise(EngRun *run, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= (int)sizeof text) n = (int)sizeof text - 1;
    eng_value_raise_str(run, eng_str_new(run, text, n < 0 ? 0 : (size_t)n));
}

void eng_value_steps(EngRun *run, uint64_t n)
{
    run->steps += n;
    if (run->steps > ENG_RUN_STEPS)
        eng_value_raise(run, "The template does not end: stopped after %u steps.", ENG_RUN_STEPS);
}

void eng_value_enter(EngRun *run)
{
    eng_value_steps(run, 1);
    if (++run->depth > ENG_RUN_DEPTH) eng_value_raise(run, "maximum recursion depth exceeded");
}

/* ---- making values ---- */

EngValue eng_value_text(EngRun *run, const char *text)
{
    return eng_value_str(eng_str_text(run, text));
}

static EngValue undefined(EngRun *run, EngUndefined fields)
{
    EngUndefined *u = eng_value_alloc(run, sizeof *u);
    *u = fields;
    return (EngValue){ENG_V_UNDEFINED, {.undefined = u}};
}

EngValue eng_value_undefined(EngRun *run, EngStr *name)
{
    return undefined(run, (EngUndefined){.name = eng_value_str(name)});
}

EngValue eng_value_undefined_hint(EngRun *run, EngStr *hint)
{
    return undefined(run, (EngUndefined){.hint = hint});
}

EngValue eng_value_no_attribute(EngRun *run, EngValue obj, EngValue name)
{
    return undefined(run, (EngUndefined){.obj = obj, .name = name});
}

EngList *eng_value_list_new(EngRun *run, size_t n)
{
    EngList *list = eng_value_alloc(run, sizeof *list);
    if (n > ENG_RUN_MEMORY / sizeof *list->items) eng_value_raise_str(run, NULL);
    list->items = eng_value_alloc(run, n * sizeof *list->items);
    list->n = n;
    return list;
}

EngValue eng_value_pair(EngRun *run, EngValue a, EngValue b)
{
    EngList *list = eng_value_list_new(run, 2);
    list->items[0] = a;
    list->items[1] = b;
    return eng_value_tuple(list);
}

EngValue eng_value_func(EngRun *run, const char *name, const char *type_name, EngFn *fn,
                        EngValue self)
{
    EngFunc *func = eng_value_alloc(run, sizeof *func);
    *func = (EngFunc){.name = name, .type_name = type_name, .fn = fn, .self = self};
    return (EngValue){ENG_V_FUNC, {.func = func}};
}

void eng_value_raise_undefined(EngRun *run, EngValue v)
{
    const EngUndefined *u = v.u.undefined;
    if (u->hint) eng_value_raise_str(run, u->hint);
    EngText t = {0};
    if (u->obj.type == ENG_V_MISSING) {
        eng_repr_add(run, &t, u->name);
        eng_text_puts(run, &t, " is undefined");
    } else if (u->name.type != ENG_V_STR) {
        eng_text_str(run, &t, eng_value_type_repr(run, u->obj));
        eng_text_puts(run, &t, " has no element ");
        eng_repr_add(run, &t, u->name);
    } else {
        eng_repr_add(run, &t, eng_value_str(eng_value_type_repr(run, u->obj)));
        eng_text_puts(run, &t, " has no attribute ");
        eng_repr_add(run, &t, u->name);
    }
    eng_value_raise_str(run, eng_text_take(run, &t));
}

/* ---- asking ---- */

bool eng_value_int_like(EngValue v, int64_t *ret)
{
    if (v.type == ENG_V_BOOL)
        *ret = v.u.b;
    else if (v.type == ENG_V_INT)
        *ret = v.u.i;
    else
        return false;
    return true;
}

double eng_value_as_double(EngRun *run, EngValue v)
{
    int64_t i;
    if (eng_value_int_like(v, &i)) return (double)i;
    if (v.type == ENG_V_FLOAT) return v.u.f;
    double f;
    if (!eng_repr_parse_double(run, v.u.str->data, v.u.str->n, &f)) return NAN;
    if (isinf(f)) eng_value_raise(run, "int too large to convert to float");
    return f;
}

bool eng_value_len(EngValue v, size_t *ret_n)
{
    switch (v.type) {
    case ENG_V_UNDEFINED: *ret_n = 0; return true;
    case ENG_V_STR: *ret_n = v.u.str->chars; return true;
    case ENG_V_LIST:
    case ENG_V_TUPLE: *ret_n = v.u.list->n; return true;
    case ENG_V_DICT: *ret_n = v.u.dict->n; return true;
    case ENG_V_VIEW: *ret_n = v.u.view->dict->n; return true;
    case ENG_V_RANGE: *ret_n = (size_t)v.u.range->n; return true;
    default: return false;
    }
}

bool eng_value_truth(EngValue v)
{
    size_t n;
    switch (v.type) {
    case ENG_V_MISSING:
    case ENG_V_UNDEFINED:
    case ENG_V_NONE: return false;
    case ENG_V_BOOL: return v.u.b;
    case ENG_V_INT: return v.u.i != 0;
    case ENG_V_FLOAT: return v.u.f != 0;
    default: return eng_value_len(v, &n) ? n > 0 : true;
    }
}

const char *eng_value_type_name(EngValue v)
{
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    switch (v.type) {
    case ENG_V_MISSING:
    case ENG_V_UNDEFINED: return "Undefined";
    case ENG_V_NONE: return "NoneType";
    case ENG_V_BOOL: return "bool";
    case ENG_V_INT:
    case ENG_V_BIG: return "int";
    case ENG_V_FLOAT: return "float";
    case ENG_V_STR: return v.u.str->markup ? "Markup" : "str";
    case ENG_V_LIST: return "list";
    case ENG_V_TUPLE: return "tuple";
    case ENG_V_DICT: return "dict";
    case ENG_V_VIEW: return views[v.u.view->what];
    case ENG_V_RANGE: return "range";
    case ENG_V_ITER: return v.u.iter->type_name;
    case ENG_V_FUNC: return v.u.func->type_name;
    case ENG_V_MACRO: return "Macro";
    case ENG_V_LOOP: return "LoopContext";
    case ENG_V_NAMESPACE: return "Namespace";
    case ENG_V_CYCLER: return "Cycler";
    case ENG_V_JOINER: return "Joiner";
    }
    return "object";
}

EngStr *eng_value_type_repr(EngRun *run, EngValue v)
{
    const char *module = "";
    switch (v.type) {
    case ENG_V_NONE: return eng_str_text(run, "None");
    case ENG_V_UNDEFINED:
    case ENG_V_MACRO:
    case ENG_V_LOOP: module = "jinja2.runtime."; break;
    case ENG_V_NAMESPACE:
    case ENG_V_CYCLER:
    case ENG_V_JOINER: module = "jinja2.utils."; break;
    case ENG_V_STR: module = v.u.str->markup ? "markupsafe." : ""; break;
    default: break;
    }
    return eng_str_printf(run, "%s%s object", module, eng_value_type_name(v));
}

bool eng_value_same(EngValue a, EngValue b)
{
    if (a.type != b.type) return false;
    switch (a.type) {
    case ENG_V_NONE: return true;
    case ENG_V_BOOL: return a.u.b == b.u.b;
    case ENG_V_INT: return a.u.i == b.u.i;
    case ENG_V_FLOAT: return false; /* two computed floats are two objects */
    case ENG_V_STR:
        return a.u.str == b.u.str || (a.u.str->data == b.u.str->data && a.u.str->n == b.u.str->n);
    default: return a.u.object == b.u.object;
    }
}

/* Exact comparison of an integer with a double: -1, 0, 1; 2 when f is NaN. */
static int compare_int_float(int64_t i, double f)
{
    if (isnan(f)) return 2;
    if (f >= 0x1p63) return -1;
    if (f < -0x1p63) return 1;
    int64_t whole = (int64_t)f;
    if (i != whole) return i < whole ? -1 : 1;
    double rest = f - (double)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static int compare_big(EngValue a, EngValue b) /* one of them is BIG, neither a float */
{
    const EngStr *x = a.type == ENG_V_BIG ? a.u.str : NULL,
                 *y = b.type == ENG_V_BIG ? b.u.str : NULL;
    if (!y) return x->data[0] == '-' ? -1 : 1;
    if (!x) return y->data[0] == '-' ? 1 : -1;
    bool minus_x = x->data[0] == '-', minus_y = y->data[0] == '-';
    if (minus_x != minus_y) return minus_x ? -1 : 1;
    int c = x->n != y->n ? (x->n < y->n ? -1 : 1) : memcmp(x->data, y->data, x->n);
    c = (c > 0) - (c < 0);
    return minus_x ? -c : c;
}

/* -1, 0, 1, or 2 when not comparable (NaN). */
static int compare_numbers(EngRun *run, EngValue a, EngValue b)
{
    int64_t i, j;
    bool int_a = eng_value_int_like(a, &i), int_b = eng_value_int_like(b, &j);
    if (int_a && int_b) return (i > j) - (i < j);
    if (a.type != ENG_V_FLOAT && b.type != ENG_V_FLOAT) return compare_big(a, b);
    if (int_a) return compare_int_float(i, b.u.f);
    if (int_b) {
        int c = compare_int_float(j, a.u.f);
        return c == 2 ? 2 : -c;
    }
    double x = eng_value_as_double(run, a), y = eng_value_as_double(run, b);
    if (isnan(x) || isnan(y)) return 2;
    return (x > y) - (x < y);
}

static bool lists_equal(EngRun *run, const EngList *a, const EngList *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!eng_value_equal(run, a->items[i], b->items[i])) return false;
    return true;
}

static bool dicts_equal(EngRun *run, const EngDict *a, const EngDict *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        EngValue other;
        if (!eng_dict_get(run, b, a->pairs[i].key, &other) ||
            !eng_value_equal(run, a->pairs[i].value, other))
            return false;
    }
    return true;
}

static bool ranges_equal(const EngRange *a, const EngRange *b)
{
    if (a->n != b->n) return false;
    if (a->n == 0) return true;
    return a->start == b->start && (a->n == 1 || a->step == b->step);
}

static bool same_views(EngRun *run, EngValue a, EngValue b)
{
    if (a.u.view == b.u.view) return true;
    if (a.u.view->what == ENG_VIEW_VALUES || b.u.view->what != a.u.view->what) return false;
    if (a.u.view->what == ENG_VIEW_ITEMS) return dicts_equal(run, a.u.view->dict, b.u.view->dict);
    if (a.u.view->dict->n != b.u.view->dict->n) return false;
    EngValue found;
    for (size_t i = 0; i < a.u.view->dict->n; i++)
        if (!eng_dict_get(run, b.u.view->dict, a.u.view->dict->pairs[i].key, &found)) return false;
    return true;
}

bool eng_value_equal(EngRun *run, EngValue a, EngValue b)
{
    if (eng_value_is_number(a) && eng_value_is_number(b)) return compare_numbers(run, a, b) == 0;
    if (a.type != b.type) return false;
    int depth = run->depth;
    eng_value_enter(run);
    bool equal;
    switch (a.type) {
    case ENG_V_MISSING:
    case ENG_V_UNDEFINED:
    case ENG_V_NONE: equal = true; break;
    case ENG_V_STR:
        equal = eng_str_equal(a.u.str, b.u.str);
        eng_value_steps(run, a.u.str->n / 64);
        break;
    case ENG_V_LIST:
    case ENG_V_TUPLE: equal = a.u.list == b.u.list || lists_equal(run, a.u.list, b.u.list); break;
    case ENG_V_DICT: equal = a.u.dict == b.u.dict || dicts_equal(run, a.u.dict, b.u.dict); break;
    case ENG_V_RANGE: equal = ranges_equal(a.u.range, b.u.range); break;
    case ENG_V_VIEW: equal = same_views(run, a, b); break;
    case ENG_V_FUNC:
        equal = a.u.func == b.u.func ||
                (a.u.func->fn == b.u.func->fn && a.u.func->name == b.u.func->name &&
                 eng_value_same(a.u.func->self, b.u.func->self));
        break;
    default: equal = a.u.object == b.u.object; break;
    }
    eng_value_leave(run, depth);
    return equal;
}

static bool decide(EngOrder order, int c)
{
    switch (order) {
    case ENG_LT: return c < 0;
    case ENG_LE: return c <= 0;
    case ENG_GT: return c > 0;
    case ENG_GE: return c >= 0;
    }
    return false;
}

bool eng_value_order(EngRun *run, EngOrder order, EngValue a, EngValue b)
{
    static const char *const signs[] = {"<", "<=", ">", ">="};
    if (a.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a);
    if (b.type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, b);
    if (eng_value_is_number(a) && eng_value_is_number(b)) {
        int c = compare_numbers(run, a, b);
        return c != 2 && decide(order, c);
    }
    if (a.type == ENG_V_STR && b.type == ENG_V_STR)
        return decide(order, eng_str_compare(a.u.str, b.u.str));
    if (a.type == b.type && (a.type == ENG_V_LIST || a.type == ENG_V_TUPLE)) {
        const EngList *x = a.u.list, *y = b.u.list;
        for (size_t i = 0; i < x->n && i < y->n; i++) {
            eng_value_steps(run, 1);
            if (eng_value_equal(run, x->items[i], y->items[i])) continue;
            int depth = run->depth;
            eng_value_enter(run);
            bool result = eng_value_order(run, order, x->items[i], y->items[i]);
            eng_value_leave(run, depth);
            return result;
        }
        return decide(order, (x->n > y->n) - (x->n < y->n));
    }
    eng_value_raise(run, "'%s' not supported between instances of '%s' and '%s'", signs[order],
                    eng_value_type_name(a), eng_value_type_name(b));
}

static bool view_contains(EngRun *run, const EngView *view, EngValue item)
{
    EngValue found;
    if (view->what == ENG_VIEW_KEYS) return eng_dict_get(run, view->dict, item, &found);
    if (view->what == ENG_VIEW_ITEMS)
        return item.type == ENG_V_TUPLE && item.u.list->n == 2 &&
               eng_dict_get(run, view->dict, item.u.list->items[0], &found) &&
               eng_value_equal(run, found, item.u.list->items[1]);
    for (size_t i = 0; i < view->dict->n; i++)
        if (eng_value_equal(run, view->dict->pairs[i].value, item)) return true;
    return false;
}

bool eng_value_contains(EngRun *run, EngValue container, EngValue item)
{
    EngValue found;
    switch (container.type) {
    case ENG_V_STR:
        if (item.type != ENG_V_STR)
            eng_value_raise(run, "'in <string>' requires string as left operand, not %s",
                            eng_value_type_name(item));
        return eng_str_find(run, container.u.str, item.u.str, 0, container.u.str->n) !=
               ENG_STR_NOT_FOUND;
    case ENG_V_DICT: return eng_dict_get(run, container.u.dict, item, &found);
    case ENG_V_VIEW: return view_contains(run, container.u.view, item);
    case ENG_V_UNDEFINED:
    case ENG_V_LIST:
    case ENG_V_TUPLE:
    case ENG_V_RANGE:
    case ENG_V_LOOP:
    case ENG_V_ITER: break;
    default:
        eng_value_raise(run, "argument of type '%s' is not iterable",
                        eng_value_type_name(container));
    }
    EngIter *it = eng_iter_of(run, container);
    while (eng_iter_next(run, it, &found))
        if (eng_value_equal(run, found, item)) return true;
    return false;
}
