/* Python's dict, without removal: pairs in order of insertion and, from 9 pairs on, a hash index.
 */
#include <math.h>
#include <string.h>

#include "chat/value/repr.h"
#include "chat/value/str.h"

#define SMALL 8

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return mix(h);
}

bool eng_value_hashable(EngValue v, const char **ret_type)
{
    *ret_type = eng_value_type_name(v);
    if (v.type == ENG_V_TUPLE) {
        for (size_t i = 0; i < v.u.list->n; i++)
            if (!eng_value_hashable(v.u.list->items[i], ret_type)) return false;
        return true;
    }
    return v.type != ENG_V_LIST && v.type != ENG_V_DICT &&
           !(v.type == ENG_V_VIEW && v.u.view->what != ENG_VIEW_VALUES);
}

uint64_t eng_value_hash(EngRun *run, EngValue v)
{
    int depth = run->depth;
    int64_t i;
    uint64_t h;
    const char *type;
    eng_value_enter(run);
    if (eng_value_int_like(v, &i))
        h = mix((uint64_t)i);
    else if (v.type == ENG_V_FLOAT && v.u.f >= -0x1p63 && v.u.f < 0x1p63 && floor(v.u.f) == v.u.f)
        h = mix((uint64_t)(int64_t)v.u.f); /* equal to an integer: the same hash */
    else if (v.type == ENG_V_FLOAT)
        h = hash_bytes((const char *)&v.u.f, sizeof v.u.f);
    else if (v.type == ENG_V_STR || v.type == ENG_V_BIG) {
        eng_value_steps(run, v.u.str->n / 64);
        h = hash_bytes(v.u.str->data, v.u.str->n);
    } else if (v.type == ENG_V_TUPLE) {
        h = 7;
        for (size_t k = 0; k < v.u.list->n; k++)
            h = mix(h * 31 + eng_value_hash(run, v.u.list->items[k]));
    } else if (!eng_value_hashable(v, &type)) {
        eng_value_raise(run, "unhashable type: '%s'", type);
    } else if (v.type <= ENG_V_NONE || v.type == ENG_V_RANGE || v.type == ENG_V_FUNC) {
        h = mix(v.type); /* compared by content */
    } else {
        h = mix((uint64_t)(uintptr_t)v.u.object);
    }
    eng_value_leave(run, depth);
    return h;
}

EngDict *eng_dict_new(EngRun *run) { return eng_value_alloc(run, sizeof(EngDict)); }

static bool same_key(EngRun *run, const EngPair *p, EngValue key, uint64_t hash)
{
    if (p->hash != hash) return false;
    if (p->key.type == ENG_V_STR && key.type == ENG_V_STR)
        return eng_str_equal(p->key.u.str, key.u.str);
    return eng_value_same(p->key, key) || eng_value_equal(run, p->key, key);
}

/* The pair with this key, or the index slot where it belongs. */
static EngPair *find(EngRun *run, const EngDict *d, EngValue key, uint64_t hash, size_t *ret_slot)
{
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++)
            if (same_key(run, &d->pairs[i], key, hash)) return &d->pairs[i];
        return NULL;
    }
    for (size_t at = hash & (d->index_size - 1);; at = (at + 1) & (d->index_size - 1)) {
        *ret_slot = at;
        if (!d->index[at]) return NULL;
        EngPair *p = &d->pairs[d->index[at] - 1];
        if (same_key(run, p, key, hash)) return p;
    }
}

static void reindex(EngRun *run, EngDict *d)
{
    d->index_size = 32;
    while (d->index_size < 2 * d->cap) d->index_size *= 2;
    d->index = eng_value_alloc(run, d->index_size * sizeof *d->index);
    for (size_t i = 0; i < d->n; i++) {
        size_t at = d->pairs[i].hash & (d->index_size - 1);
        while (d->index[at]) at = (at + 1) & (d->index_size - 1);
        d->index[at] = (uint32_t)i + 1;
    }
}

void eng_dict_set(EngRun *run, EngDict *d, EngValue key, EngValue value)
{
    uint64_t hash = eng_value_hash(run, key);
    size_t slot = 0;
    EngPair *p = find(run, d, key, hash, &slot);
    if (p) {
        p->value = value;
        return;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : SMALL;
        EngPair *pairs = eng_value_alloc(run, cap * sizeof *pairs);
        if (d->n) memcpy(pairs, d->pairs, d->n * sizeof *pairs);
        d->pairs = pairs;
        d->cap = cap;
        if (cap > SMALL) reindex(run, d);
        if (d->index) find(run, d, key, hash, &slot);
    }
    if (d->index) d->index[slot] = (uint32_t)d->n + 1;
    d->pairs[d->n++] = (EngPair){key, value, hash};
}

bool eng_dict_get(EngRun *run, const EngDict *d, EngValue key, EngValue *ret)
{
    size_t slot;
    EngPair *p = find(run, d, key, eng_value_hash(run, key), &slot);
    if (p) *ret = p->value;
    return p != NULL;
}

bool eng_dict_get_text(EngRun *run, const EngDict *d, const char *key, EngValue *ret)
{
    EngStr s = {.data = key, .n = strlen(key)};
    return eng_dict_get(run, d, eng_value_str(&s), ret);
}

EngDict *eng_dict_copy(EngRun *run, const EngDict *d)
{
    EngDict *copy = eng_dict_new(run);
    for (size_t i = 0; i < d->n; i++) eng_dict_set(run, copy, d->pairs[i].key, d->pairs[i].value);
    return copy;
}
