#include <string.h>

#include "chat/eval.h"
#include "chat/value/str.h"

EngIter *eng_iter_new(EngRun *run, const char *type_name, EngNext *next, EngValue source,
                      void *state)
{
    EngIter *it = eng_value_alloc(run, sizeof *it);
    *it = (EngIter){.type_name = type_name, .next = next, .source = source, .state = state};
    return it;
}

EngValue eng_iter_range_item(const EngRange *r, int64_t i)
{
    return eng_value_int(r->start + i * r->step); /* r->n bounds i: no overflow */
}

static bool next_item(EngRun *run, EngIter *it, EngValue *ret)
{
    (void)run;
    if (it->pos >= it->source.u.list->n) return false;
    *ret = it->source.u.list->items[it->pos++];
    return true;
}

static bool next_item_back(EngRun *run, EngIter *it, EngValue *ret)
{
    (void)run;
    if (it->pos == 0) return false;
    *ret = it->source.u.list->items[--it->pos];
    return true;
}

static bool next_char(EngRun *run, EngIter *it, EngValue *ret)
{
    const EngStr *s = it->source.u.str;
    if (it->pos >= s->n) return false;
    uint32_t cp;
    size_t len = eng_str_decode(s->data + it->pos, &cp);
    EngStr *c = cp < 128 ? eng_str_char(run, cp) : eng_str_borrow(run, s->data + it->pos, len, 1);
    *ret = eng_value_str(c);
    it->pos += len;
    return true;
}

static EngValue view_item(EngRun *run, const EngView *view, size_t i)
{
    const EngPair *p = &view->dict->pairs[i];
    if (view->what == ENG_VIEW_KEYS) return p->key;
    if (view->what == ENG_VIEW_VALUES) return p->value;
    return eng_value_pair(run, p->key, p->value);
}

static bool next_of_view(EngRun *run, EngIter *it, EngValue *ret)
{
    const EngView *view = it->source.u.view;
    if (it->pos >= view->dict->n) return false;
    *ret = view_item(run, view, it->pos++);
    return true;
}

static bool next_of_view_back(EngRun *run, EngIter *it, EngValue *ret)
{
    if (it->pos == 0) return false;
    *ret = view_item(run, it->source.u.view, --it->pos);
    return true;
}

static bool next_of_range(EngRun *run, EngIter *it, EngValue *ret)
{
    (void)run;
    const EngRange *r = it->source.u.range;
    if (it->pos >= (size_t)r->n) return false;
    *ret = eng_iter_range_item(r, (int64_t)it->pos++);
    return true;
}

static bool next_of_range_back(EngRun *run, EngIter *it, EngValue *ret)
{
    (void)run;
    if (it->pos == 0) return false;
    *ret = eng_iter_range_item(it->source.u.range, (int64_t)--it->pos);
    return true;
}

static bool next_of_nothing(EngRun *run, EngIter *it, EngValue *ret)
{
    (void)run, (void)it, (void)ret;
    return false;
}

static EngValue keys_of(EngRun *run, EngValue dict)
{
    EngView *view = eng_value_alloc(run, sizeof *view);
    *view = (EngView){.dict = dict.u.dict, .what = ENG_VIEW_KEYS};
    return (EngValue){ENG_V_VIEW, {.view = view}};
}

bool eng_iter_possible(EngValue v)
{
    switch (v.type) {
    case ENG_V_UNDEFINED:
    case ENG_V_STR:
    case ENG_V_LIST:
    case ENG_V_TUPLE:
    case ENG_V_DICT:
    case ENG_V_VIEW:
    case ENG_V_RANGE:
    case ENG_V_LOOP:
    case ENG_V_ITER: return true;
    default: return false;
    }
}

EngIter *eng_iter_of(EngRun *run, EngValue v)
{
    switch (v.type) {
    case ENG_V_ITER: return v.u.iter;
    case ENG_V_LOOP: return eng_eval_loop_iter(run, v.u.loop);
    case ENG_V_UNDEFINED: return eng_iter_new(run, "generator", next_of_nothing, v, NULL);
    case ENG_V_STR:
        return eng_iter_new(run,
                            v.u.str->chars == v.u.str->n ? "str_ascii_iterator" : "str_iterator",
                            next_char, v, NULL);
    case ENG_V_LIST: return eng_iter_new(run, "list_iterator", next_item, v, NULL);
    case ENG_V_TUPLE: return eng_iter_new(run, "tuple_iterator", next_item, v, NULL);
    case ENG_V_DICT:
        return eng_iter_new(run, "dict_keyiterator", next_of_view, keys_of(run, v), NULL);
    case ENG_V_VIEW: return eng_iter_new(run, "dict_iterator", next_of_view, v, NULL);
    case ENG_V_RANGE: return eng_iter_new(run, "range_iterator", next_of_range, v, NULL);
    default: eng_value_raise(run, "'%s' object is not iterable", eng_value_type_name(v));
    }
}

EngList *eng_iter_list(EngRun *run, EngValue v)
{
    size_t cap = 8;
    bool sized = v.type != ENG_V_LOOP && eng_value_len(v, &cap);
    EngIter *it = eng_iter_of(run, v);
    EngList *list = eng_value_list_new(run, cap);
    size_t n = 0;
    EngValue item;
    while (eng_iter_next(run, it, &item)) {
        if (n == cap) {
            cap = sized ? cap + 1 : 2 * cap;
            EngList *larger = eng_value_list_new(run, cap);
            memcpy(larger->items, list->items, n * sizeof *list->items);
            list->items = larger->items;
        }
        list->items[n++] = item;
    }
    list->n = n;
    return list;
}

EngIter *eng_iter_reversed(EngRun *run, EngValue v)
{
    EngIter *it;
    size_t n;
    switch (v.type) {
    case ENG_V_UNDEFINED: return eng_iter_new(run, "reversed", next_of_nothing, v, NULL);
    case ENG_V_STR:
        it = eng_iter_new(run, "reversed", next_item_back, eng_value_list(eng_iter_list(run, v)),
                          NULL);
        break;
    case ENG_V_LIST: it = eng_iter_new(run, "list_reverseiterator", next_item_back, v, NULL); break;
    case ENG_V_TUPLE: it = eng_iter_new(run, "reversed", next_item_back, v, NULL); break;
    case ENG_V_DICT:
        it = eng_iter_new(run, "dict_reversekeyiterator", next_of_view_back, keys_of(run, v), NULL);
        break;
    case ENG_V_VIEW:
        it = eng_iter_new(run, "dict_reverseiterator", next_of_view_back, v, NULL);
        break;
    case ENG_V_RANGE: it = eng_iter_new(run, "range_iterator", next_of_range_back, v, NULL); break;
    default: return NULL;
    }
    eng_value_len(v, &n);
    it->pos = n;
    return it;
}
