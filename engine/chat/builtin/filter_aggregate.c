/* Filters that order, group or sum up. */
#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static bool flag(EngValue v) { return v.type != ENG_V_MISSING && eng_value_truth(v); }

/* make_attrgetter with ignore_case */
static EngValue key_of(EngRun *run, EngValue item, EngValue attribute, bool case_sensitive)
{
    EngValue key = eng_builtin_attribute(run, item, attribute, eng_value_missing());
    return case_sensitive ? key : eng_builtin_ignore_case(run, key);
}

/* make_multi_attrgetter: "a,b.c" gives a list of two. */
static EngValue keys_of(EngRun *run, EngValue item, EngValue attribute, bool case_sensitive)
{
    EngStr comma = {.data = ",", .n = 1, .chars = 1};
    EngList *attributes = attribute.type == ENG_V_STR
                              ? eng_str_split(run, attribute.u.str, &comma, -1)
                              : eng_value_list_new(run, 1);
    if (attribute.type != ENG_V_STR) attributes->items[0] = attribute;
    EngList *keys = eng_value_list_new(run, attributes->n);
    for (size_t i = 0; i < keys->n; i++)
        keys->items[i] = key_of(run, item, attributes->items[i], case_sensitive);
    return eng_value_list(keys);
}

static EngValue filter_sort(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngList *items = eng_iter_list(run, a[0]), *keys = eng_value_list_new(run, items->n);
    for (size_t i = 0; i < items->n; i++)
        keys->items[i] = keys_of(run, items->items[i], a[3], flag(a[2]));
    eng_builtin_sort(run, items, keys, flag(a[1]));
    return eng_value_list(items);
}

static EngValue filter_dictsort(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    int by = 0;
    if (a[2].type != ENG_V_MISSING) {
        bool value = a[2].type == ENG_V_STR && eng_str_is_text(a[2].u.str, "value");
        if (!value && !(a[2].type == ENG_V_STR && eng_str_is_text(a[2].u.str, "key")))
            eng_value_raise(run, "You can only sort by either \"key\" or \"value\"");
        by = value;
    }
    if (a[0].type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a[0]);
    if (a[0].type == ENG_V_NAMESPACE) eng_value_raise(run, "items");
    if (a[0].type != ENG_V_DICT)
        eng_value_raise(run, "'%s' object has no attribute 'items'", eng_value_type_name(a[0]));
    const EngDict *d = a[0].u.dict;
    EngList *items = eng_value_list_new(run, d->n), *keys = eng_value_list_new(run, d->n);
    for (size_t i = 0; i < d->n; i++) {
        EngValue key = by ? d->pairs[i].value : d->pairs[i].key;
        items->items[i] = eng_value_pair(run, d->pairs[i].key, d->pairs[i].value);
        keys->items[i] = flag(a[1]) ? key : eng_builtin_ignore_case(run, key);
    }
    eng_builtin_sort(run, items, keys, flag(a[3]));
    return eng_value_list(items);
}

typedef struct {
    EngValue attribute;
    bool case_sensitive;
    EngDict *seen;
    EngIter *source;
} Unique;

static bool next_unique(EngRun *run, EngIter *it, EngValue *ret)
{
    Unique *u = it->state;
    EngValue found;
    if (!u->source) u->source = eng_iter_of(run, it->source);
    while (eng_iter_next(run, u->source, ret)) {
        EngValue key = key_of(run, *ret, u->attribute, u->case_sensitive);
        if (eng_dict_get(run, u->seen, key, &found)) continue;
        eng_dict_set(run, u->seen, key, eng_value_none());
        return true;
    }
    return false;
}

static EngValue filter_unique(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    Unique *u = eng_value_alloc(run, sizeof *u);
    *u = (Unique){.attribute = a[2], .case_sensitive = flag(a[1]), .seen = eng_dict_new(run)};
    return eng_value_iter(eng_iter_new(run, "generator", next_unique, a[0], u));
}

static EngValue extreme(EngRun *run, const EngValue *a, EngOrder order)
{
    EngIter *it = eng_iter_of(run, a[0]);
    EngValue best, v;
    if (!eng_iter_next(run, it, &best))
        return eng_value_undefined_hint(
            run, eng_str_text(run, "No aggregated item, sequence was empty."));
    EngValue best_key = key_of(run, best, a[2], flag(a[1]));
    while (eng_iter_next(run, it, &v)) {
        EngValue key = key_of(run, v, a[2], flag(a[1]));
        if (!eng_value_order(run, order, key, best_key)) continue;
        best = v;
        best_key = key;
    }
    return best;
}

static EngValue filter_min(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    return extreme(run, a, ENG_LT);
}

static EngValue filter_max(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    return extreme(run, a, ENG_GT);
}

static EngValue filter_sum(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue total = eng_builtin_or(a[2], eng_value_int(0)), v;
    EngIter *it = eng_iter_of(run, a[0]);
    if (total.type == ENG_V_STR)
        eng_value_raise(run, "sum() can't sum strings [use ''.join(seq) instead]");
    while (eng_iter_next(run, it, &v)) {
        if (a[1].type != ENG_V_MISSING && a[1].type != ENG_V_NONE)
            v = eng_builtin_attribute(run, v, a[1], eng_value_missing());
        total = eng_operate(run, ENG_N_ADD, total, v);
    }
    return total;
}

static EngValue filter_groupby(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    bool case_sensitive = flag(a[3]);
    EngList *items = eng_iter_list(run, a[0]), *keys = eng_value_list_new(run, items->n);
    for (size_t i = 0; i < items->n; i++) {
        EngValue key = eng_builtin_attribute(run, items->items[i], a[1], a[2]);
        keys->items[i] = case_sensitive ? key : eng_builtin_ignore_case(run, key);
    }
    eng_builtin_sort(run, items, keys, false);
    EngList *groups = eng_value_list_new(run, items->n);
    groups->n = 0;
    for (size_t from = 0, to; from < items->n; from = to) {
        for (to = from + 1; to < items->n; to++)
            if (!eng_value_equal(run, keys->items[from], keys->items[to])) break;
        EngList *members = eng_value_list_new(run, to - from);
        for (size_t i = from; i < to; i++) members->items[i - from] = items->items[i];
        EngValue grouper = case_sensitive
                               ? keys->items[from]
                               : eng_builtin_attribute(run, items->items[from], a[1], a[2]);
        EngValue group = eng_value_pair(run, grouper, eng_value_list(members));
        group.u.list->is_group = true;
        groups->items[groups->n++] = group;
    }
    return eng_value_list(groups);
}

const EngFilter eng_builtin_aggregate_filters[] = {
    {"sort", filter_sort, "do_sort", "value reverse case_sensitive attribute", 1, 1},
    {"dictsort", filter_dictsort, "do_dictsort", "value case_sensitive by reverse", 1, 0},
    {"unique", filter_unique, "sync_do_unique", "value case_sensitive attribute", 1, 1},
    {"min", filter_min, "do_min", "value case_sensitive attribute", 1, 1},
    {"max", filter_max, "do_max", "value case_sensitive attribute", 1, 1},
    {"sum", filter_sum, "sync_do_sum", "iterable attribute start", 1, 1},
    {"groupby", filter_groupby, "sync_do_groupby", "value attribute default case_sensitive", 2, 1},
    ENG_BUILTIN_END,
};
