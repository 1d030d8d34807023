/* Filters over sequences. What is a generator in the reference is one here: it runs when it is
 * iterated, once, and errors come from there. */
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static bool given(EngValue v) { return v.type != ENG_V_MISSING && v.type != ENG_V_NONE; }

static EngValue filter_default(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    bool by_truth = a[2].type != ENG_V_MISSING && eng_value_truth(a[2]);
    if (a[0].type == ENG_V_UNDEFINED || (by_truth && !eng_value_truth(a[0])))
        return eng_builtin_or(a[1], eng_value_text(run, ""));
    return a[0];
}

static EngValue filter_length(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    size_t n;
    if (args->n_named) eng_value_raise(run, "len() takes no keyword arguments");
    if (args->n != 1) eng_value_raise(run, "len() takes exactly one argument (%zu given)", args->n);
    EngValue v = args->pos[0];
    if (v.type == ENG_V_LOOP) return eng_value_int(eng_eval_loop_length(run, v.u.loop));
    if (!eng_value_len(v, &n))
        eng_value_raise(run, "object of type '%s' has no len()", eng_value_type_name(v));
    return eng_value_int((int64_t)n);
}

static EngValue filter_first(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue v;
    if (eng_iter_next(run, eng_iter_of(run, a[0]), &v)) return v;
    return eng_value_undefined_hint(run, eng_str_text(run, "No first item, sequence was empty."));
}

static EngValue filter_last(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue v;
    EngIter *it = eng_iter_reversed(run, a[0]);
    if (!it) eng_value_raise(run, "'%s' object is not reversible", eng_value_type_name(a[0]));
    if (eng_iter_next(run, it, &v)) return v;
    return eng_value_undefined_hint(run, eng_str_text(run, "No last item, sequence was empty."));
}

static EngValue filter_list(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    return eng_value_list(eng_iter_list(run, a[0]));
}

static EngValue filter_reverse(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    if (a[0].type == ENG_V_STR)
        return eng_operate_slice(run, a[0], eng_value_none(), eng_value_none(), eng_value_int(-1));
    EngIter *it = eng_iter_reversed(run, a[0]);
    if (it) return eng_value_iter(it);
    if (!eng_iter_possible(a[0])) eng_value_raise(run, "argument must be iterable");
    EngList *list = eng_iter_list(run, a[0]);
    for (size_t i = 0; i < list->n / 2; i++) {
        EngValue v = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = v;
    }
    return eng_value_list(list);
}

static EngValue filter_join(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngIter *it = eng_iter_of(run, a[0]);
    EngStr *between = a[1].type == ENG_V_MISSING ? NULL : eng_repr_str(run, a[1]);
    EngText t = {0};
    EngValue v;
    for (bool first = true; eng_iter_next(run, it, &v); first = false) {
        if (!first && between) eng_text_str(run, &t, between);
        if (given(a[2])) v = eng_builtin_attribute(run, v, a[2], eng_value_missing());
        eng_repr_add_str(run, &t, v);
    }
    return eng_value_str(eng_text_take(run, &t));
}

static EngValue filter_attr(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue v;
    (void)eng_value_hash(run, a[1]);
    if (a[1].type != ENG_V_STR)
        eng_value_raise(run, "attribute name must be string, not '%s'", eng_value_type_name(a[1]));
    if (!eng_attribute_own(run, a[0], a[1].u.str, &v))
        return eng_value_no_attribute(run, a[0], a[1]);
    return eng_attribute_get(run, a[0], a[1].u.str);
}

/* ---- items ---- */

static bool next_item(EngRun *run, EngIter *it, EngValue *ret)
{
    if (it->source.type == ENG_V_UNDEFINED) return false;
    if (it->source.type != ENG_V_DICT)
        eng_value_raise(run, "Can only get item pairs from a mapping.");
    if (it->pos >= it->source.u.dict->n) return false;
    const EngPair *p = &it->source.u.dict->pairs[it->pos++];
    *ret = eng_value_pair(run, p->key, p->value);
    return true;
}

static EngValue filter_items(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    return eng_value_iter(eng_iter_new(run, "generator", next_item, a[0], NULL));
}

/* ---- map, select, reject and their attr forms ---- */

typedef struct {
    EngArgs args; /* as called: the sequence first */
    bool by_attribute, negate, prepared;
    EngIter *source;
    /* of map: */
    EngValue attribute, fallback;
    bool maps_attribute;
    /* the filter or test: its arguments, room for the input in front */
    EngValue name;
    EngArgs call;
} Each;

static void set_call(EngRun *run, Each *e, size_t name_at)
{
    e->name = e->args.pos[name_at];
    e->call = e->args;
    e->call.n = e->args.n - name_at;
    e->call.pos = eng_value_alloc(run, e->call.n * sizeof *e->call.pos);
    for (size_t i = 1; i < e->call.n; i++) e->call.pos[i] = e->args.pos[name_at + i];
}

static void prepare_map(EngRun *run, Each *e)
{
    bool has_attribute = false;
    for (size_t i = 0; i < e->args.n_named; i++)
        has_attribute = has_attribute || eng_str_is_text(e->args.named[i].key.u.str, "attribute");
    if (e->args.n == 1 && has_attribute) {
        e->maps_attribute = true;
        e->fallback = eng_value_missing();
        for (size_t i = 0; i < e->args.n_named; i++) {
            EngPair *p = &e->args.named[i];
            if (eng_str_is_text(p->key.u.str, "attribute"))
                e->attribute = p->value;
            else if (eng_str_is_text(p->key.u.str, "default"))
                e->fallback = p->value;
            else {
                EngStr *before = eng_str_text(run, "Unexpected keyword argument ");
                eng_value_raise_str(run, eng_str_concat(run, before, eng_repr_of(run, p->key)));
            }
        }
        return;
    }
    if (e->args.n == 1) eng_value_raise(run, "map requires a filter argument");
    set_call(run, e, 1);
}

static bool next_mapped(EngRun *run, EngIter *it, EngValue *ret)
{
    Each *e = it->state;
    if (!e->prepared) {
        if (!eng_value_truth(e->args.pos[0])) return false;
        e->prepared = true;
        prepare_map(run, e);
        e->source = eng_iter_of(run, e->args.pos[0]);
    }
    EngValue v;
    if (!e->source || !eng_iter_next(run, e->source, &v)) return false;
    if (e->maps_attribute) {
        *ret = eng_builtin_attribute(run, v, e->attribute, e->fallback);
        return true;
    }
    e->call.pos[0] = v;
    *ret = eng_builtin_apply_named(run, e->name, true, &e->call);
    return true;
}

static void prepare_select(EngRun *run, Each *e)
{
    size_t name_at = e->by_attribute ? 2 : 1;
    if (e->by_attribute && e->args.n < 2)
        eng_value_raise(run, "Missing parameter for attribute name");
    e->name = eng_value_missing();
    if (e->by_attribute) e->attribute = e->args.pos[1];
    if (e->args.n > name_at) set_call(run, e, name_at);
}

static bool next_selected(EngRun *run, EngIter *it, EngValue *ret)
{
    Each *e = it->state;
    if (!e->prepared) {
        if (!eng_value_truth(e->args.pos[0])) return false;
        e->prepared = true;
        prepare_select(run, e);
        e->source = eng_iter_of(run, e->args.pos[0]);
    }
    EngValue item;
    while (e->source && eng_iter_next(run, e->source, &item)) {
        EngValue v = item;
        if (e->by_attribute) v = eng_builtin_attribute(run, v, e->attribute, eng_value_missing());
        if (e->name.type != ENG_V_MISSING) {
            e->call.pos[0] = v;
            v = eng_builtin_apply_named(run, e->name, false, &e->call);
        }
        if (eng_value_truth(v) == e->negate) continue;
        *ret = item;
        return true;
    }
    return false;
}

static EngValue each_new(EngRun *run, const EngArgs *args, EngNext *next, bool by_attribute,
                         bool negate)
{
    Each *e = eng_value_alloc(run, sizeof *e);
    *e = (Each){.args = *args, .by_attribute = by_attribute, .negate = negate};
    if (args->n == 0) eng_value_raise(run, "missing 1 required positional argument: 'value'");
    return eng_value_iter(eng_iter_new(run, "generator", next, args->pos[0], e));
}

static EngValue filter_map(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    return each_new(run, args, next_mapped, false, false);
}

static EngValue filter_select(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    return each_new(run, args, next_selected, false, false);
}

static EngValue filter_reject(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    return each_new(run, args, next_selected, false, true);
}

static EngValue filter_selectattr(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    return each_new(run, args, next_selected, true, false);
}

static EngValue filter_rejectattr(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    return each_new(run, args, next_selected, true, true);
}

/* ---- batch and slice ---- */

typedef struct {
    EngValue size, fill;
    EngIter *source;
    EngList *all;
    EngValue next; /* of batch: the item that did not fit */
    int64_t offset;
} Pieces;

static EngValue filled(EngRun *run, const EngValue *items, size_t n, size_t total, EngValue fill)
{
    EngList *list = eng_value_list_new(run, total);
    for (size_t i = 0; i < total; i++) list->items[i] = i < n ? items[i] : fill;
    return eng_value_list(list);
}

static bool next_batch(EngRun *run, EngIter *it, EngValue *ret)
{
    Pieces *p = it->state;
    EngValue v = p->next, size;
    if (!p->source) {
        p->source = eng_iter_of(run, it->source);
        v = eng_value_missing();
    }
    size_t cap = 8, n = 0;
    EngValue *items = eng_value_alloc(run, cap * sizeof *items);
    if (v.type != ENG_V_MISSING) items[n++] = v;
    p->next = eng_value_missing();
    while (eng_iter_next(run, p->source, &v)) {
        size = eng_value_int((int64_t)n);
        if (eng_value_equal(run, size, p->size)) {
            p->next = v;
            break;
        }
        if (n == cap) {
            EngValue *more = eng_value_alloc(run, 2 * cap * sizeof *more);
            memcpy(more, items, n * sizeof *more);
            items = more;
            cap *= 2;
        }
        items[n++] = v;
    }
    bool full = p->next.type != ENG_V_MISSING;
    if (n == 0 && !full) return false;
    size_t total = n;
    if (!full && given(p->fill) &&
        eng_value_order(run, ENG_LT, eng_value_int((int64_t)n), p->size)) {
        int64_t want = eng_builtin_index(run, p->size);
        if (want > 10000000) eng_value_raise_str(run, NULL);
        total = (size_t)want;
    }
    *ret = filled(run, items, n, total, p->fill);
    return true;
}

static EngValue filter_batch(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    Pieces *p = eng_value_alloc(run, sizeof *p);
    *p = (Pieces){.size = a[1], .fill = eng_builtin_or(a[2], eng_value_none())};
    return eng_value_iter(eng_iter_new(run, "generator", next_batch, a[0], p));
}

static bool next_slice(EngRun *run, EngIter *it, EngValue *ret)
{
    Pieces *p = it->state;
    if (!p->all) p->all = eng_iter_list(run, it->source);
    if (p->size.type == ENG_V_FLOAT)
        eng_value_raise(run, "'float' object cannot be interpreted as an integer");
    if (!eng_value_is_number(p->size))
        eng_operate(run, ENG_N_FLOORDIV, eng_value_int((int64_t)p->all->n), p->size);
    int64_t n = (int64_t)p->all->n, slices = eng_builtin_index(run, p->size), i = (int64_t)it->pos;
    if (slices == 0) eng_value_raise(run, "integer division or modulo by zero");
    if (i >= slices) return false;
    int64_t per = n / slices, extra = n % slices, start = p->offset + i * per;
    if (i < extra) p->offset++;
    int64_t end = p->offset + (i + 1) * per;
    bool fill = given(p->fill) && i >= extra;
    *ret = filled(run, p->all->items + start, (size_t)(end - start), (size_t)(end - start) + fill,
                  p->fill);
    it->pos++;
    return true;
}

static EngValue filter_slice(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    Pieces *p = eng_value_alloc(run, sizeof *p);
    *p = (Pieces){.size = a[1], .fill = eng_builtin_or(a[2], eng_value_none())};
    return eng_value_iter(eng_iter_new(run, "generator", next_slice, a[0], p));
}

const EngFilter eng_builtin_sequence_filters[] = {
    {"default", filter_default, "do_default", "value default_value boolean", 1, 0},
    {"d", filter_default, "do_default", "value default_value boolean", 1, 0},
    {"length", filter_length, "len", NULL, 0, 0},
    {"count", filter_length, "len", NULL, 0, 0},
    {"first", filter_first, "sync_do_first", "seq", 1, 1},
    {"last", filter_last, "do_last", "seq", 1, 1},
    {"list", filter_list, "sync_do_list", "value", 1, 0},
    {"reverse", filter_reverse, "do_reverse", "value", 1, 0},
    {"join", filter_join, "sync_do_join", "value d attribute", 1, 1},
    {"attr", filter_attr, "do_attr", "obj name", 2, 1},
    {"items", filter_items, "do_items", "value", 1, 0},
    {"map", filter_map, "sync_do_map", NULL, 0, 0},
    {"select", filter_select, "sync_do_select", NULL, 0, 0},
    {"reject", filter_reject, "sync_do_reject", NULL, 0, 0},
    {"selectattr", filter_selectattr, "sync_do_selectattr", NULL, 0, 0},
    {"rejectattr", filter_rejectattr, "sync_do_rejectattr", NULL, 0, 0},
    {"batch", filter_batch, "do_batch", "value linecount fill_with", 2, 0},
    {"slice", filter_slice, "sync_do_slice", "value slices fill_with", 2, 0},
    ENG_BUILTIN_END,
};
