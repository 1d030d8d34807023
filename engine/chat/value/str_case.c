/* Character classes and the case methods of str. */
#include <string.h>

#include "base/num.h"
#include "chat/value/str.h"
#include "chat/value/unicode_data.h"

static bool in_ranges(uint32_t cp, const EngUnicodeRange *ranges, size_t n)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > ranges[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && ranges[lo].first <= cp;
}

static bool is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 ||
           cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool eng_str_is(uint32_t cp, EngCharClass what)
{
#define IN(name) in_ranges(cp, eng_unicode_##name, eng_unicode_n_##name)
    switch (what) {
    case ENG_IS_ALPHA: return IN(alpha);
    case ENG_IS_DECIMAL: return IN(decimal);
    case ENG_IS_DIGIT: return IN(digit);
    case ENG_IS_NUMERIC: return IN(numeric);
    case ENG_IS_UPPER: return IN(upper);
    case ENG_IS_LOWER: return IN(lower);
    case ENG_IS_CASED: return IN(cased);
    case ENG_IS_TITLE: return IN(title);
    case ENG_IS_IGNORABLE: return IN(ignorable);
    case ENG_IS_PRINTABLE: return IN(printable);
    case ENG_IS_IDENTIFIER: return IN(identifier);
    case ENG_IS_SPACE: return is_space(cp);
    }
#undef IN
    return false;
}

static bool mapped(const EngUnicodeCase *cases, size_t n, uint32_t cp, uint32_t ret[3])
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > cases[mid].from)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || cases[lo].from != cp) return false;
    memcpy(ret, cases[lo].to, sizeof cases[lo].to);
    return true;
}

typedef enum { UPPER, LOWER, TITLE, FOLD } Case;

static void add_cased(EngRun *run, EngText *t, uint32_t cp, Case to)
{
    uint32_t out[3] = {cp, 0, 0};
#define MAP(name) mapped(eng_unicode_##name, eng_unicode_n_##name, cp, out)
    if (to == UPPER || (to == TITLE && !MAP(to_title))) (void)MAP(to_upper);
    if (to == LOWER || (to == FOLD && !MAP(to_fold))) (void)MAP(to_lower);
#undef MAP
    for (int i = 0; i < 3 && (i == 0 || out[i]); i++) eng_text_char(run, t, out[i]);
}

/* A capital sigma ends a word when a cased letter precedes it and none follows, skipping what the
 * Unicode standard (3.13, Final_Sigma) calls case-ignorable. */
static bool final_sigma(const EngStr *s, size_t at, size_t len)
{
    uint32_t cp;
    size_t i = at;
    bool before = false, after = false;
    while (i > 0 && !before) {
        do i--;
        while (((unsigned char)s->data[i] & 0xc0) == 0x80);
        eng_str_decode(s->data + i, &cp);
        if (eng_str_is(cp, ENG_IS_IGNORABLE)) continue;
        if (!eng_str_is(cp, ENG_IS_CASED)) return false;
        before = true;
    }
    for (i = at + len; i < s->n && !after;) {
        i += eng_str_decode(s->data + i, &cp);
        if (eng_str_is(cp, ENG_IS_IGNORABLE)) continue;
        if (!eng_str_is(cp, ENG_IS_CASED)) break;
        after = true;
    }
    return before && !after;
}

static size_t add_lower(EngRun *run, EngText *t, const EngStr *s, size_t at)
{
    uint32_t cp;
    size_t len = eng_str_decode(s->data + at, &cp);
    if (cp == 0x3a3)
        eng_text_char(run, t, final_sigma(s, at, len) ? 0x3c2 : 0x3c3);
    else
        add_cased(run, t, cp, LOWER);
    return len;
}

static EngStr *convert(EngRun *run, const EngStr *s, Case to)
{
    EngText t = {0};
    eng_value_steps(run, s->n / 16);
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        if (to == LOWER) {
            at += add_lower(run, &t, s, at);
            continue;
        }
        at += eng_str_decode(s->data + at, &cp);
        add_cased(run, &t, cp, to);
    }
    return eng_text_take(run, &t);
}

EngStr *eng_str_upper(EngRun *run, const EngStr *s) { return convert(run, s, UPPER); }
EngStr *eng_str_lower(EngRun *run, const EngStr *s) { return convert(run, s, LOWER); }
EngStr *eng_str_casefold(EngRun *run, const EngStr *s) { return convert(run, s, FOLD); }

EngStr *eng_str_capitalize(EngRun *run, const EngStr *s)
{
    EngText t = {0};
    uint32_t cp;
    if (s->n == 0) return eng_text_take(run, &t);
    size_t at = eng_str_decode(s->data, &cp);
    add_cased(run, &t, cp, TITLE);
    while (at < s->n) at += add_lower(run, &t, s, at);
    return eng_text_take(run, &t);
}

EngStr *eng_str_title(EngRun *run, const EngStr *s)
{
    EngText t = {0};
    bool in_word = false;
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        size_t len = eng_str_decode(s->data + at, &cp);
        if (in_word)
            add_lower(run, &t, s, at);
        else
            add_cased(run, &t, cp, TITLE);
        in_word = eng_str_is(cp, ENG_IS_CASED);
        at += len;
    }
    return eng_text_take(run, &t);
}

EngStr *eng_str_swapcase(EngRun *run, const EngStr *s)
{
    EngText t = {0};
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        size_t len = eng_str_decode(s->data + at, &cp);
        if (eng_str_is(cp, ENG_IS_UPPER))
            add_lower(run, &t, s, at);
        else if (eng_str_is(cp, ENG_IS_LOWER))
            add_cased(run, &t, cp, UPPER);
        else
            eng_text_char(run, &t, cp);
        at += len;
    }
    return eng_text_take(run, &t);
}

bool eng_str_all(const EngStr *s, EngCharClass what)
{
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        if (!eng_str_is(cp, what)) return false;
    }
    return s->n > 0;
}

bool eng_str_is_case(const EngStr *s, bool upper)
{
    bool any = false;
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        if (eng_str_is(cp, upper ? ENG_IS_LOWER : ENG_IS_UPPER) || eng_str_is(cp, ENG_IS_TITLE))
            return false;
        any = any || eng_str_is(cp, upper ? ENG_IS_UPPER : ENG_IS_LOWER);
    }
    return any;
}

bool eng_str_is_title(const EngStr *s)
{
    bool any = false, in_word = false;
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        bool capital = eng_str_is(cp, ENG_IS_UPPER) || eng_str_is(cp, ENG_IS_TITLE);
        bool small = eng_str_is(cp, ENG_IS_LOWER);
        if ((capital && in_word) || (small && !in_word)) return false;
        in_word = capital || small;
        any = any || in_word;
    }
    return any;
}
