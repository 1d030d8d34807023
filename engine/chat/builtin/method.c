/* Methods of list, tuple, dict and the reference's helper objects; where methods are looked up. */
#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

/* Refused by the sandbox before they can be called; they only have to exist. */
static EngValue forbidden(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)args;
    eng_value_raise(run, "'%s' objects are immutable here", eng_value_type_name(self));
}

static void no_named(EngRun *run, EngValue self, const char *name, const EngArgs *args)
{
    if (args->n_named)
        eng_value_raise(run, "%s.%s() takes no keyword arguments", eng_value_type_name(self), name);
}

static void no_args(EngRun *run, EngValue self, const char *name, const EngArgs *args)
{
    no_named(run, self, name, args);
    if (args->n)
        eng_value_raise(run, "%s.%s() takes no arguments (%zu given)", eng_value_type_name(self),
                        name, args->n);
}

static void count_args(EngRun *run, const char *name, const EngArgs *args, size_t least,
                       size_t most)
{
    if (args->n < least)
        eng_value_raise(run, "%s expected at least %zu argument%s, got %zu", name, least,
                        least == 1 ? "" : "s", args->n);
    if (args->n > most)
        eng_value_raise(run, "%s expected at most %zu argument%s, got %zu", name, most,
                        most == 1 ? "" : "s", args->n);
}

/* ---- dict ---- */

static EngValue view(EngRun *run, EngValue self, const char *name, const EngArgs *args, int what)
{
    no_args(run, self, name, args);
    EngView *v = eng_value_alloc(run, sizeof *v);
    v->dict = self.u.dict;
    v->what = what;
    return (EngValue){ENG_V_VIEW, {.view = v}};
}

static EngValue dict_items(EngRun *run, EngValue self, const EngArgs *args)
{
    return view(run, self, "items", args, ENG_VIEW_ITEMS);
}

static EngValue dict_keys(EngRun *run, EngValue self, const EngArgs *args)
{
    return view(run, self, "keys", args, ENG_VIEW_KEYS);
}

static EngValue dict_values(EngRun *run, EngValue self, const EngArgs *args)
{
    return view(run, self, "values", args, ENG_VIEW_VALUES);
}

static EngValue dict_get(EngRun *run, EngValue self, const EngArgs *args)
{
    EngValue v;
    no_named(run, self, "get", args);
    count_args(run, "get", args, 1, 2);
    if (eng_dict_get(run, self.u.dict, args->pos[0], &v)) return v;
    return args->n > 1 ? args->pos[1] : eng_value_none();
}

static EngValue dict_copy(EngRun *run, EngValue self, const EngArgs *args)
{
    no_args(run, self, "copy", args);
    return eng_value_dict(eng_dict_copy(run, self.u.dict));
}

static EngValue dict_fromkeys(EngRun *run, EngValue self, const EngArgs *args)
{
    no_named(run, self, "fromkeys", args);
    count_args(run, "fromkeys", args, 1, 2);
    EngDict *dict = eng_dict_new(run);
    EngIter *it = eng_iter_of(run, args->pos[0]);
    EngValue key;
    while (eng_iter_next(run, it, &key))
        eng_dict_set(run, dict, key, args->n > 1 ? args->pos[1] : eng_value_none());
    return eng_value_dict(dict);
}

static const EngMethod dict_methods[] = {
    {"get", dict_get},       {"items", dict_items},     {"keys", dict_keys},
    {"values", dict_values}, {"copy", dict_copy},       {"fromkeys", dict_fromkeys},
    {"clear", forbidden},    {"pop", forbidden},        {"popitem", forbidden},
    {"update", forbidden},   {"setdefault", forbidden}, {NULL, NULL},
};

/* ---- list and tuple ---- */

static int64_t position(EngRun *run, EngValue v, int64_t n)
{
    int64_t i;
    if (!eng_value_int_like(v, &i))
        eng_value_raise(run, "slice indices must be integers or have an __index__ method");
    if (i < 0) i += n;
    return i < 0 ? 0 : i > n ? n : i;
}

static EngValue list_index(EngRun *run, EngValue self, const EngArgs *args)
{
    no_named(run, self, "index", args);
    count_args(run, "index", args, 1, 3);
    int64_t n = (int64_t)self.u.list->n;
    int64_t from = args->n > 1 ? position(run, args->pos[1], n) : 0;
    int64_t to = args->n > 2 ? position(run, args->pos[2], n) : n;
    for (int64_t i = from; i < to; i++)
        if (eng_value_equal(run, self.u.list->items[i], args->pos[0])) return eng_value_int(i);
    if (self.type == ENG_V_TUPLE) eng_value_raise(run, "tuple.index(x): x not in tuple");
    eng_value_raise_str(run, eng_str_concat(run, eng_repr_of(run, args->pos[0]),
                                            eng_str_text(run, " is not in list")));
}

static EngValue list_count(EngRun *run, EngValue self, const EngArgs *args)
{
    int64_t n = 0;
    no_named(run, self, "count", args);
    if (args->n != 1)
        eng_value_raise(run, "%s.count() takes exactly one argument (%zu given)",
                        eng_value_type_name(self), args->n);
    for (size_t i = 0; i < self.u.list->n; i++)
        n += eng_value_equal(run, self.u.list->items[i], args->pos[0]);
    return eng_value_int(n);
}

static EngValue list_copy(EngRun *run, EngValue self, const EngArgs *args)
{
    no_args(run, self, "copy", args);
    EngList *copy = eng_value_list_new(run, self.u.list->n);
    if (copy->n) memcpy(copy->items, self.u.list->items, copy->n * sizeof *copy->items);
    return eng_value_list(copy);
}

static const EngMethod list_methods[] = {
    {"index", list_index}, {"count", list_count},  {"copy", list_copy},   {"append", forbidden},
    {"clear", forbidden},  {"extend", forbidden},  {"insert", forbidden}, {"pop", forbidden},
    {"remove", forbidden}, {"reverse", forbidden}, {"sort", forbidden},   {NULL, NULL},
};

static const EngMethod tuple_methods[] = {
    {"index", list_index}, {"count", list_count}, {NULL, NULL}};

/* ---- numbers ---- */

static EngValue float_is_integer(EngRun *run, EngValue self, const EngArgs *args)
{
    no_args(run, self, "is_integer", args);
    return eng_value_bool(eng_value_equal(run, eng_operate(run, ENG_N_MOD, self, eng_value_int(1)),
                                          eng_value_int(0)));
}

static EngValue int_bit_length(EngRun *run, EngValue self, const EngArgs *args)
{
    no_args(run, self, "bit_length", args);
    int64_t i = 0, n = 0;
    eng_value_int_like(self, &i);
    for (uint64_t rest = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; rest; rest >>= 1) n++;
    return eng_value_int(n);
}

static const EngMethod float_methods[] = {{"is_integer", float_is_integer}, {NULL, NULL}};
static const EngMethod int_methods[] = {{"bit_length", int_bit_length}, {NULL, NULL}};

/* ---- loop and cycler ---- */

static EngValue loop_cycle(EngRun *run, EngValue self, const EngArgs *args)
{
    if (args->n == 0) eng_value_raise(run, "no items for cycling given");
    return args->pos[(size_t)self.u.loop->index0 % args->n];
}

static EngValue loop_changed(EngRun *run, EngValue self, const EngArgs *args)
{
    EngList *now = eng_value_list_new(run, args->n);
    if (args->n) memcpy(now->items, args->pos, args->n * sizeof *now->items);
    EngValue value = eng_value_tuple(now), *last = &self.u.loop->last_changed;
    if (last->type != ENG_V_MISSING && eng_value_equal(run, *last, value))
        return eng_value_bool(false);
    *last = value;
    return eng_value_bool(true);
}

static EngValue cycler_next(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)run, (void)args;
    EngCycler *c = self.u.cycler;
    EngValue v = c->items->items[c->pos];
    c->pos = (c->pos + 1) % c->items->n;
    return v;
}

static EngValue cycler_reset(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)run, (void)args;
    self.u.cycler->pos = 0;
    return eng_value_none();
}

static const EngMethod loop_methods[] = {
    {"cycle", loop_cycle}, {"changed", loop_changed}, {NULL, NULL}};
static const EngMethod cycler_methods[] = {
    {"next", cycler_next}, {"reset", cycler_reset}, {NULL, NULL}};

EngValue eng_builtin_method(EngRun *run, EngValue obj, const EngStr *name)
{
    const EngMethod *table = NULL;
    const char *type_name = "builtin_function_or_method";
    switch (obj.type) {
    case ENG_V_STR: table = eng_builtin_str_methods; break;
    case ENG_V_DICT: table = dict_methods; break;
    case ENG_V_LIST: table = list_methods; break;
    case ENG_V_TUPLE: table = tuple_methods; break;
    case ENG_V_FLOAT: table = float_methods; break;
    case ENG_V_BOOL:
    case ENG_V_INT: table = int_methods; break;
    case ENG_V_LOOP:
        table = loop_methods;
        type_name = "method";
        break;
    case ENG_V_CYCLER:
        table = cycler_methods;
        type_name = "method";
        break;
    default: return eng_value_missing();
    }
    for (; table->name; table++)
        if (eng_str_is_text(name, table->name))
            return eng_value_func(run, table->name, type_name, table->fn, obj);
    return eng_value_missing();
}
