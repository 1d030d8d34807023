#include "chat/builtin/builtin.h"

#include <string.h>

#include "base/num.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static const EngFilter *find_in(const EngFilter *table, const EngStr *name)
{
    for (; table->name; table++)
        if (eng_str_is_text(name, table->name)) return table;
    return NULL;
}

const EngFilter *eng_builtin_filter(const EngStr *name)
{
    const EngFilter *const tables[] = {eng_builtin_text_filters, eng_builtin_sequence_filters,
                                       eng_builtin_aggregate_filters, eng_builtin_number_filters};
    const EngFilter *found = NULL;
    for (size_t i = 0; i < ENG_LEN(tables) && !found; i++) found = find_in(tables[i], name);
    return found;
}

const EngFilter *eng_builtin_test(const EngStr *name) { return find_in(eng_builtin_tests, name); }

/* ---- arguments to parameters ---- */

static int split_params(const char *params, EngStr names[ENG_BUILTIN_MAX_PARAMS])
{
    int n = 0;
    while (*params) {
        size_t len = strcspn(params, " ");
        names[n++] = (EngStr){.data = params, .n = len, .chars = len};
        params += len + (params[len] == ' ');
    }
    return n;
}

static _Noreturn void too_many(EngRun *run, const EngFilter *f, int n_params, const EngArgs *args)
{
    int least = f->required + f->hidden, most = n_params + f->hidden;
    size_t given = args->n + (size_t)f->hidden;
    if (least == most)
        eng_value_raise(run, "%s() takes %d positional argument%s but %zu %s given", f->python,
                        most, most == 1 ? "" : "s", given, given == 1 ? "was" : "were");
    eng_value_raise(run, "%s() takes from %d to %d positional arguments but %zu were given",
                    f->python, least, most, given);
}

static void check_required(EngRun *run, const EngFilter *f, const EngStr *names,
                           const EngValue *out)
{
    int missing[ENG_BUILTIN_MAX_PARAMS], n = 0;
    for (int i = 0; i < f->required; i++)
        if (out[i].type == ENG_V_MISSING) missing[n++] = i;
    if (n == 0) return;
    EngText t = {0};
    eng_text_printf(run, &t, "%s() missing %d required positional argument%s: ", f->python, n,
                    n == 1 ? "" : "s");
    for (int i = 0; i < n; i++) {
        if (i) eng_text_puts(run, &t, n == 2 ? " and " : i == n - 1 ? ", and " : ", ");
        eng_repr_add(run, &t, eng_value_str((EngStr *)&names[missing[i]]));
    }
    eng_value_raise_str(run, eng_text_take(run, &t));
}

static void bind(EngRun *run, const EngFilter *f, const EngArgs *args, EngValue *out)
{
    EngStr names[ENG_BUILTIN_MAX_PARAMS];
    int n = split_params(f->params, names);
    for (int i = 0; i < n; i++) out[i] = (size_t)i < args->n ? args->pos[i] : eng_value_missing();
    for (size_t k = 0; k < args->n_named; k++) {
        const EngStr *key = args->named[k].key.u.str;
        int i = 0;
        while (i < n && !eng_str_equal(&names[i], key)) i++;
        const char *wrong = i == n                         ? "got an unexpected keyword argument"
                            : out[i].type != ENG_V_MISSING ? "got multiple values for argument"
                                                           : NULL;
        if (wrong) {
            EngText t = {0};
            eng_text_printf(run, &t, "%s() %s ", f->python, wrong);
            eng_repr_add(run, &t, args->named[k].key);
            eng_value_raise_str(run, eng_text_take(run, &t));
        }
        out[i] = args->named[k].value;
    }
    if (args->n > (size_t)n) too_many(run, f, n, args);
    check_required(run, f, names, out);
}

EngValue eng_builtin_apply(EngRun *run, const EngFilter *filter, const EngArgs *args)
{
    EngValue bound[ENG_BUILTIN_MAX_PARAMS];
    int depth = run->depth;
    eng_value_enter(run);
    if (filter->params) bind(run, filter, args, bound);
    EngValue v = filter->fn(run, bound, args);
    eng_value_leave(run, depth);
    return v;
}

EngValue eng_builtin_apply_named(EngRun *run, EngValue name, bool is_filter, const EngArgs *args)
{
    const EngFilter *f = NULL;
    if (name.type == ENG_V_STR)
        f = is_filter ? eng_builtin_filter(name.u.str) : eng_builtin_test(name.u.str);
    else
        (void)eng_value_hash(run, name); /* looked up in a dict: "unhashable type" */
    if (f) return eng_builtin_apply(run, f, args);
    EngText t = {0};
    eng_text_printf(run, &t, "No %s named ", is_filter ? "filter" : "test");
    eng_repr_add(run, &t, name);
    eng_text_puts(run, &t, ".");
    if (name.type == ENG_V_UNDEFINED) {
        const EngUndefined *u = name.u.undefined;
        eng_text_puts(run, &t, " (");
        if (u->hint)
            eng_text_str(run, &t, u->hint);
        else {
            if (u->obj.type != ENG_V_MISSING) {
                eng_repr_add(run, &t, eng_value_str(eng_value_type_repr(run, u->obj)));
                eng_text_puts(run, &t, " has no attribute ");
            }
            eng_repr_add(run, &t, u->name);
            if (u->obj.type == ENG_V_MISSING) eng_text_puts(run, &t, " is undefined");
        }
        eng_text_puts(run, &t, "; did you forget to quote the callable name?)");
    }
    eng_value_raise_str(run, eng_text_take(run, &t));
}

/* ---- attributes and keys ---- */

EngValue eng_builtin_attribute(EngRun *run, EngValue item, EngValue attribute, EngValue fallback)
{
    if (attribute.type == ENG_V_MISSING || attribute.type == ENG_V_NONE) return item;
    EngStr dot = {.data = ".", .n = 1, .chars = 1};
    EngList *parts = NULL;
    if (attribute.type == ENG_V_STR) parts = eng_str_split(run, attribute.u.str, &dot, -1);
    for (size_t i = 0; i < (parts ? parts->n : 1); i++) {
        EngValue part = parts ? parts->items[i] : attribute;
        if (parts && eng_str_all(part.u.str, ENG_IS_DIGIT))
            eng_builtin_int_of_text(run, part.u.str, 10, &part);
        item = eng_attribute_item(run, item, part);
        if (item.type == ENG_V_UNDEFINED && fallback.type != ENG_V_MISSING &&
            fallback.type != ENG_V_NONE)
            item = fallback;
    }
    return item;
}

EngValue eng_builtin_ignore_case(EngRun *run, EngValue v)
{
    return v.type == ENG_V_STR ? eng_value_str(eng_str_lower(run, v.u.str)) : v;
}

EngStr *eng_builtin_ascii(EngRun *run, const EngStr *s)
{
    EngText t = {0};
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        if (cp < 128)
            eng_text_char(run, &t, cp);
        else
            eng_text_printf(run, &t,
                            cp < 0x100     ? "\\x%02x"
                            : cp < 0x10000 ? "\\u%04x"
                                           : "\\U%08x",
                            cp);
    }
    return eng_text_take(run, &t);
}

/* ---- sorting ---- */

typedef struct {
    EngValue item, key;
} Keyed;

static bool less(EngRun *run, const Keyed *a, const Keyed *b)
{
    eng_value_steps(run, 1);
    return eng_value_order(run, ENG_LT, a->key, b->key);
}

static void reverse_keyed(Keyed *k, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        Keyed other = k[i];
        k[i] = k[n - 1 - i];
        k[n - 1 - i] = other;
    }
}

/* Binary insertion after the first run, as CPython sorts fewer than 64 items: which two items it
 * compares first decides the message about items that do not compare. */
static void sort_short(EngRun *run, Keyed *k, size_t n)
{
    if (n < 2) return;
    size_t sorted = 2;
    if (less(run, &k[1], &k[0])) {
        while (sorted < n && less(run, &k[sorted], &k[sorted - 1])) sorted++;
        reverse_keyed(k, sorted);
    } else {
        while (sorted < n && !less(run, &k[sorted], &k[sorted - 1])) sorted++;
    }
    for (; sorted < n; sorted++) {
        Keyed pivot = k[sorted];
        size_t lo = 0, hi = sorted;
        while (lo < hi) {
            size_t mid = (lo + hi) / 2;
            if (less(run, &pivot, &k[mid]))
                hi = mid;
            else
                lo = mid + 1;
        }
        memmove(&k[lo + 1], &k[lo], (sorted - lo) * sizeof *k);
        k[lo] = pivot;
    }
}

static void merge_sort(EngRun *run, Keyed *k, Keyed *spare, size_t n)
{
    if (n < 64) {
        sort_short(run, k, n);
        return;
    }
    size_t half = n / 2, i = 0, j = half, out = 0;
    merge_sort(run, k, spare, half);
    merge_sort(run, k + half, spare, n - half);
    while (i < half && j < n) spare[out++] = less(run, &k[j], &k[i]) ? k[j++] : k[i++];
    memcpy(spare + out, k + i, (half - i) * sizeof *k);
    memcpy(k, spare, (out + half - i) * sizeof *k);
}

void eng_builtin_sort(EngRun *run, EngList *items, EngList *keys, bool reverse)
{
    size_t n = items->n;
    Keyed *k = eng_value_alloc(run, (n + 1) * sizeof *k);
    Keyed *spare = eng_value_alloc(run, (n + 1) * sizeof *k);
    for (size_t i = 0; i < n; i++) k[i] = (Keyed){items->items[i], keys->items[i]};
    if (reverse) reverse_keyed(k, n); /* keeps equal items in their order */
    merge_sort(run, k, spare, n);
    if (reverse) reverse_keyed(k, n);
    for (size_t i = 0; i < n; i++) {
        items->items[i] = k[i].item;
        keys->items[i] = k[i].key;
    }
}
