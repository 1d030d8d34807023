#include "chat/value/str.h"

#include <stdio.h>
#include <string.h>

struct EngStrBuffer { /* bytes [0, used) belong to strings, the rest is free to grow into */
    size_t used, cap;
    char data[];
};

size_t eng_str_encode(uint32_t cp, char ret[4])
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) cp = 0xfffd;
    if (cp < 0x80) return ret[0] = (char)cp, 1;
    if (cp < 0x800) {
        ret[0] = (char)(0xc0 | cp >> 6);
        ret[1] = (char)(0x80 | (cp & 63));
        return 2;
    }
    if (cp < 0x10000) {
        ret[0] = (char)(0xe0 | cp >> 12);
        ret[1] = (char)(0x80 | (cp >> 6 & 63));
        ret[2] = (char)(0x80 | (cp & 63));
        return 3;
    }
    ret[0] = (char)(0xf0 | cp >> 18);
    ret[1] = (char)(0x80 | (cp >> 12 & 63));
    ret[2] = (char)(0x80 | (cp >> 6 & 63));
    ret[3] = (char)(0x80 | (cp & 63));
    return 4;
}

bool eng_str_valid(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = 0; i < n;) {
        size_t len = p[i] < 0x80   ? 1
                     : p[i] < 0xc2 ? 0
                     : p[i] < 0xe0 ? 2
                     : p[i] < 0xf0 ? 3
                     : p[i] < 0xf5 ? 4
                                   : 0;
        if (len == 0 || len > n - i) return false;
        for (size_t k = 1; k < len; k++)
            if ((p[i + k] & 0xc0) != 0x80) return false;
        if (len == 3 && p[i] == 0xe0 && p[i + 1] < 0xa0) return false;
        if (len == 3 && p[i] == 0xed && p[i + 1] >= 0xa0) return false;
        if (len == 4 && p[i] == 0xf0 && p[i + 1] < 0x90) return false;
        if (len == 4 && p[i] == 0xf4 && p[i + 1] >= 0x90) return false;
        i += len;
    }
    return true;
}

size_t eng_str_count(const char *s, size_t n)
{
    size_t chars = 0;
    for (size_t i = 0; i < n; i++) chars += ((unsigned char)s[i] & 0xc0) != 0x80;
    return chars;
}

/* ---- building ---- */

static void text_reserve(EngRun *run, EngText *t, size_t n)
{
    if (n > ENG_RUN_TEXT || t->n + n > ENG_RUN_TEXT)
        eng_value_raise(run, "The template's text grows beyond %zu MiB.", ENG_RUN_TEXT >> 20);
    if (t->n + n <= t->cap) return;
    size_t cap = t->cap ? 2 * t->cap : 64;
    while (cap < t->n + n) cap *= 2;
    char *data = eng_value_alloc(run, cap);
    if (t->n) memcpy(data, t->data, t->n);
    t->data = data;
    t->cap = cap;
}

void eng_text_add(EngRun *run, EngText *t, const char *s, size_t n)
{
    if (n == 0) return;
    text_reserve(run, t, n);
    memcpy(t->data + t->n, s, n);
    t->n += n;
}

void eng_text_puts(EngRun *run, EngText *t, const char *s) { eng_text_add(run, t, s, strlen(s)); }

void eng_text_char(EngRun *run, EngText *t, uint32_t cp)
{
    char bytes[4];
    eng_text_add(run, t, bytes, eng_str_encode(cp, bytes));
}

void eng_text_str(EngRun *run, EngText *t, const EngStr *s) { eng_text_add(run, t, s->data, s->n); }

void eng_text_fill(EngRun *run, EngText *t, uint32_t cp, size_t times)
{
    char bytes[4];
    size_t n = eng_str_encode(cp, bytes);
    text_reserve(run, t, times > ENG_RUN_TEXT ? times : times * n);
    for (size_t i = 0; i < times; i++) eng_text_add(run, t, bytes, n);
}

static void text_vprintf(EngRun *run, EngText *t, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    if (n > 0) {
        text_reserve(run, t, (size_t)n + 1);
        vsnprintf(t->data + t->n, (size_t)n + 1, fmt, again);
        t->n += (size_t)n;
    }
    va_end(again);
}

void eng_text_printf(EngRun *run, EngText *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    text_vprintf(run, t, fmt, args);
    va_end(args);
}

EngStr *eng_str_borrow(EngRun *run, const char *s, size_t n, size_t chars)
{
    EngStr *str = eng_value_alloc(run, sizeof *str);
    *str = (EngStr){.data = n ? s : "", .n = n, .chars = chars};
    return str;
}

EngStr *eng_text_take(EngRun *run, EngText *t)
{
    EngStr *s = eng_str_borrow(run, t->data, t->n, eng_str_count(t->data, t->n));
    *t = (EngText){0};
    return s;
}

EngStr *eng_str_new(EngRun *run, const char *s, size_t n)
{
    EngText t = {0};
    eng_text_add(run, &t, s, n);
    return eng_text_take(run, &t);
}

EngStr *eng_str_text(EngRun *run, const char *s) { return eng_str_new(run, s, strlen(s)); }

EngStr *eng_str_char(EngRun *run, uint32_t cp)
{
    if (cp < 128 && run->chars[cp]) return run->chars[cp];
    char bytes[4];
    EngStr *s = eng_str_new(run, bytes, eng_str_encode(cp, bytes));
    if (cp < 128) run->chars[cp] = s;
    return s;
}

EngStr *eng_str_printf(EngRun *run, const char *fmt, ...)
{
    EngText t = {0};
    va_list args;
    va_start(args, fmt);
    text_vprintf(run, &t, fmt, args);
    va_end(args);
    return eng_text_take(run, &t);
}

EngStr *eng_str_mark(EngRun *run, const EngStr *s, bool markup)
{
    EngStr *copy = eng_value_alloc(run, sizeof *copy);
    *copy = *s;
    copy->markup = markup;
    return copy;
}

EngStr *eng_str_concat(EngRun *run, EngStr *a, EngStr *b)
{
    if (b->n == 0) return a->markup ? eng_str_mark(run, a, false) : a;
    if (a->n == 0) return b->markup ? eng_str_mark(run, b, false) : b;
    if (a->n + b->n > ENG_RUN_TEXT)
        eng_value_raise(run, "The template's text grows beyond %zu MiB.", ENG_RUN_TEXT >> 20);
    struct EngStrBuffer *buf = a->buffer;
    size_t n = a->n + b->n;
    bool at_end = buf && a->data + a->n == buf->data + buf->used && buf->cap - buf->used >= b->n;
    EngStr *s = eng_value_alloc(run, sizeof *s);
    *s = (EngStr){.data = a->data, .n = n, .chars = a->chars + b->chars, .buffer = buf};
    if (!at_end) {
        size_t cap = a->buffer ? 2 * n : n + n / 8;
        buf = eng_value_alloc(run, sizeof *buf + cap);
        buf->cap = cap;
        memcpy(buf->data, a->data, a->n);
        buf->used = a->n;
        s->data = buf->data;
        s->buffer = buf;
    }
    memcpy(buf->data + buf->used, b->data, b->n);
    buf->used += b->n;
    return s;
}

EngStr *eng_str_repeat(EngRun *run, const EngStr *s, int64_t times)
{
    EngText t = {0};
    if (times > 0 && s->n > 0) {
        if ((uint64_t)times > ENG_RUN_TEXT) times = (int64_t)ENG_RUN_TEXT + 1;
        text_reserve(run, &t,
                     s->n > ENG_RUN_TEXT / (uint64_t)times ? ENG_RUN_TEXT + 1
                                                           : s->n * (size_t)times);
        for (int64_t i = 0; i < times; i++) eng_text_str(run, &t, s);
    }
    return eng_text_take(run, &t);
}

EngStr *eng_str_escape(EngRun *run, const EngStr *s)
{
    EngText t = {0};
    for (size_t i = 0; i < s->n; i++) {
        char c = s->data[i];
        const char *entity = c == '&'    ? "&amp;"
                             : c == '<'  ? "&lt;"
                             : c == '>'  ? "&gt;"
                             : c == '\'' ? "&#39;"
                             : c == '"'  ? "&#34;"
                                         : NULL;
        if (entity)
            eng_text_puts(run, &t, entity);
        else
            eng_text_add(run, &t, &c, 1);
    }
    EngStr *escaped = eng_text_take(run, &t);
    escaped->markup = true;
    return escaped;
}

/* ---- taking apart ---- */

bool eng_str_equal(const EngStr *a, const EngStr *b)
{
    return a->n == b->n && memcmp(a->data, b->data, a->n) == 0;
}

bool eng_str_is_text(const EngStr *a, const char *text)
{
    return a->n == strlen(text) && memcmp(a->data, text, a->n) == 0;
}

int eng_str_compare(const EngStr *a, const EngStr *b)
{
    int c = memcmp(a->data, b->data, a->n < b->n ? a->n : b->n); /* UTF-8 sorts as code points */
    return c ? c : (a->n > b->n) - (a->n < b->n);
}

size_t eng_str_offset(EngRun *run, const EngStr *s, size_t i)
{
    if (s->chars == s->n) return i < s->n ? i : s->n;
    if (i >= s->chars) return s->n;
    size_t at = 0;
    for (size_t left = i; left > 0; left--) {
        do at++;
        while (((unsigned char)s->data[at] & 0xc0) == 0x80);
    }
    eng_value_steps(run, i / 16);
    return at;
}

EngStr *eng_str_cut(EngRun *run, const EngStr *s, size_t from, size_t to)
{
    size_t n = to - from;
    return eng_str_borrow(run, s->data + from, n,
                          s->chars == s->n ? n : eng_str_count(s->data + from, n));
}

EngStr *eng_str_slice(EngRun *run, const EngStr *s, int64_t start, int64_t step, int64_t n)
{
    if (n <= 0) return eng_str_borrow(run, "", 0, 0);
    if (step == 1)
        return eng_str_cut(run, s, eng_str_offset(run, s, (size_t)start),
                           eng_str_offset(run, s, (size_t)(start + n)));
    EngText t = {0};
    if (s->chars == s->n) {
        for (int64_t i = 0; i < n; i++) eng_text_add(run, &t, s->data + start + i * step, 1);
        return eng_text_take(run, &t);
    }
    size_t *at = eng_value_alloc(run, (s->chars + 1) * sizeof *at);
    for (size_t i = 0, c = 0; i < s->n; i++)
        if (((unsigned char)s->data[i] & 0xc0) != 0x80) at[c++] = i;
    at[s->chars] = s->n;
    for (int64_t i = 0; i < n; i++) {
        size_t c = (size_t)(start + i * step);
        eng_text_add(run, &t, s->data + at[c], at[c + 1] - at[c]);
    }
    return eng_text_take(run, &t);
}

size_t eng_str_find(EngRun *run, const EngStr *s, const EngStr *sub, size_t from, size_t to)
{
    if (from > to || sub->n > to - from) return ENG_STR_NOT_FOUND;
    eng_value_steps(run, (to - from) / 16);
    if (sub->n == 0) return from;
    for (const char *p = s->data + from, *last = s->data + to - sub->n; p <= last; p++) {
        p = memchr(p, sub->data[0], (size_t)(last - p) + 1);
        if (!p) break;
        if (memcmp(p, sub->data, sub->n) == 0) return (size_t)(p - s->data);
    }
    return ENG_STR_NOT_FOUND;
}

size_t eng_str_rfind(EngRun *run, const EngStr *s, const EngStr *sub, size_t from, size_t to)
{
    if (from > to || sub->n > to - from) return ENG_STR_NOT_FOUND;
    eng_value_steps(run, (to - from) / 16);
    for (size_t at = to - sub->n + 1; at-- > from;)
        if (memcmp(s->data + at, sub->data, sub->n) == 0) return at;
    return ENG_STR_NOT_FOUND;
}

EngStr *eng_str_replace(EngRun *run, const EngStr *s, const EngStr *old, const EngStr *by,
                        int64_t count)
{
    EngText t = {0};
    size_t at = 0;
    for (int64_t done = 0; count < 0 || done < count; done++) {
        size_t hit = eng_str_find(run, s, old, at, s->n);
        if (hit == ENG_STR_NOT_FOUND) break;
        eng_value_steps(run, 1);
        eng_text_add(run, &t, s->data + at, hit - at);
        eng_text_str(run, &t, by);
        at = hit + old->n;
        if (old->n == 0) { /* between all characters, and at the end once */
            if (at >= s->n) break;
            uint32_t cp;
            size_t len = eng_str_decode(s->data + at, &cp);
            eng_text_add(run, &t, s->data + at, len);
            at += len;
        }
    }
    eng_text_add(run, &t, s->data + at, s->n - at);
    return eng_text_take(run, &t);
}

static bool strip_char(EngRun *run, const EngStr *chars, const char *p, size_t len)
{
    uint32_t cp;
    eng_str_decode(p, &cp);
    if (!chars) return eng_str_is(cp, ENG_IS_SPACE);
    EngStr one = {.data = p, .n = len, .chars = 1};
    size_t hit = eng_str_find(run, chars, &one, 0, chars->n);
    return hit != ENG_STR_NOT_FOUND;
}

EngStr *eng_str_strip(EngRun *run, const EngStr *s, const EngStr *chars, int sides)
{
    size_t from = 0, to = s->n;
    while ((sides & ENG_STRIP_LEFT) && from < to) {
        uint32_t cp;
        size_t len = eng_str_decode(s->data + from, &cp);
        if (!strip_char(run, chars, s->data + from, len)) break;
        from += len;
    }
    while ((sides & ENG_STRIP_RIGHT) && from < to) {
        size_t at = to - 1;
        while (((unsigned char)s->data[at] & 0xc0) == 0x80) at--;
        if (!strip_char(run, chars, s->data + at, to - at)) break;
        to = at;
    }
    return eng_str_cut(run, s, from, to);
}
