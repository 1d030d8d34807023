/* str.split, rsplit and splitlines. */
#include <string.h>

#include "chat/value/str.h"

typedef struct {
    EngRun *run;
    const EngStr *s;
    EngValue *items;
    size_t n, cap;
} Pieces;

static void add_piece(Pieces *p, size_t from, size_t to)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 8;
        EngValue *items = eng_value_alloc(p->run, cap * sizeof *items);
        if (p->n) memcpy(items, p->items, p->n * sizeof *items);
        p->items = items;
        p->cap = cap;
    }
    eng_value_steps(p->run, 1);
    p->items[p->n++] = eng_value_str(eng_str_cut(p->run, p->s, from, to));
}

static EngList *pieces_list(const Pieces *p, bool backwards)
{
    EngList *list = eng_value_list_new(p->run, p->n);
    for (size_t i = 0; i < p->n; i++) list->items[i] = p->items[backwards ? p->n - 1 - i : i];
    return list;
}

static size_t skip_space(const EngStr *s, size_t at, bool space)
{
    uint32_t cp;
    while (at < s->n) {
        size_t len = eng_str_decode(s->data + at, &cp);
        if (eng_str_is(cp, ENG_IS_SPACE) != space) break;
        at += len;
    }
    return at;
}

static size_t skip_space_back(const EngStr *s, size_t at, bool space)
{
    uint32_t cp;
    while (at > 0) {
        size_t before = at - 1;
        while (((unsigned char)s->data[before] & 0xc0) == 0x80) before--;
        eng_str_decode(s->data + before, &cp);
        if (eng_str_is(cp, ENG_IS_SPACE) != space) break;
        at = before;
    }
    return at;
}

EngList *eng_str_split(EngRun *run, const EngStr *s, const EngStr *sep, int64_t max)
{
    Pieces p = {.run = run, .s = s};
    if (sep && sep->n == 0) eng_value_raise(run, "empty separator");
    size_t at = 0;
    if (sep) {
        for (size_t hit; max < 0 || (int64_t)p.n < max; at = hit + sep->n) {
            hit = eng_str_find(run, s, sep, at, s->n);
            if (hit == ENG_STR_NOT_FOUND) break;
            add_piece(&p, at, hit);
        }
        add_piece(&p, at, s->n);
        return pieces_list(&p, false);
    }
    for (;;) {
        at = skip_space(s, at, true);
        if (at == s->n) break;
        if (max >= 0 && (int64_t)p.n >= max) {
            add_piece(&p, at, s->n);
            break;
        }
        size_t end = skip_space(s, at, false);
        add_piece(&p, at, end);
        at = end;
    }
    return pieces_list(&p, false);
}

EngList *eng_str_rsplit(EngRun *run, const EngStr *s, const EngStr *sep, int64_t max)
{
    Pieces p = {.run = run, .s = s};
    if (sep && sep->n == 0) eng_value_raise(run, "empty separator");
    size_t end = s->n;
    if (sep) {
        while (max < 0 || (int64_t)p.n < max) {
            size_t hit = eng_str_rfind(run, s, sep, 0, end);
            if (hit == ENG_STR_NOT_FOUND) break;
            add_piece(&p, hit + sep->n, end);
            end = hit;
        }
        add_piece(&p, 0, end);
        return pieces_list(&p, true);
    }
    for (;;) {
        end = skip_space_back(s, end, true);
        if (end == 0) break;
        if (max >= 0 && (int64_t)p.n >= max) {
            add_piece(&p, 0, end);
            break;
        }
        size_t from = skip_space_back(s, end, false);
        add_piece(&p, from, end);
        end = from;
    }
    return pieces_list(&p, true);
}

static bool is_line_end(uint32_t cp)
{
    return (cp >= 0x0a && cp <= 0x0d) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

EngList *eng_str_lines(EngRun *run, const EngStr *s, bool keep_ends)
{
    Pieces p = {.run = run, .s = s};
    size_t from = 0;
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        size_t end = at;
        at += eng_str_decode(s->data + at, &cp);
        if (!is_line_end(cp)) continue;
        if (cp == '\r' && at < s->n && s->data[at] == '\n') at++;
        add_piece(&p, from, keep_ends ? at : end);
        from = at;
    }
    if (from < s->n) add_piece(&p, from, s->n);
    return pieces_list(&p, false);
}
