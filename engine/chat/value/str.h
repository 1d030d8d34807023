/* Python's str over UTF-8: every index and length is in code points. */
#ifndef ENG_CHAT_STR_H
#define ENG_CHAT_STR_H

#include "chat/value/value.h"

/* ---- code points ---- */

/* Decodes the code point at p (valid UTF-8, p < end) and returns its bytes. */
static inline size_t eng_str_decode(const char *p, uint32_t *ret)
{
    const unsigned char *s = (const unsigned char *)p;
    if (s[0] < 0x80) return *ret = s[0], 1;
    if (s[0] < 0xe0) return *ret = (s[0] & 31u) << 6 | (s[1] & 63u), 2;
    if (s[0] < 0xf0) return *ret = (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u), 3;
    return *ret = (s[0] & 7u) << 18 | (s[1] & 63u) << 12 | (s[2] & 63u) << 6 | (s[3] & 63u), 4;
}
size_t eng_str_encode(uint32_t cp, char ret[4]); /* surrogates become U+FFFD */
bool eng_str_valid(const char *s, size_t n);     /* strict UTF-8 */
size_t eng_str_count(const char *s, size_t n);   /* code points */

typedef enum {
    ENG_IS_ALPHA,
    ENG_IS_DECIMAL,
    ENG_IS_DIGIT,
    ENG_IS_NUMERIC,
    ENG_IS_UPPER,
    ENG_IS_LOWER,
    ENG_IS_CASED,
    ENG_IS_TITLE,
    ENG_IS_IGNORABLE,
    ENG_IS_PRINTABLE,
    ENG_IS_IDENTIFIER, /* may continue one */
    ENG_IS_SPACE,
} EngCharClass;
bool eng_str_is(uint32_t cp, EngCharClass what);
static inline bool eng_str_is_word(uint32_t cp) /* \w of Python's re */
{
    return cp == '_' || eng_str_is(cp, ENG_IS_ALPHA) || eng_str_is(cp, ENG_IS_NUMERIC);
}

/* ---- building ---- */

void eng_text_add(EngRun *run, EngText *t, const char *s, size_t n);
void eng_text_puts(EngRun *run, EngText *t, const char *s);
void eng_text_char(EngRun *run, EngText *t, uint32_t cp);
void eng_text_str(EngRun *run, EngText *t, const EngStr *s);
void eng_text_fill(EngRun *run, EngText *t, uint32_t cp, size_t times);
void eng_text_printf(EngRun *run, EngText *t, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
EngStr *eng_text_take(EngRun *run, EngText *t); /* the text as a string; t is used up */

EngStr *eng_str_new(EngRun *run, const char *s, size_t n); /* copies */
EngStr *eng_str_text(EngRun *run, const char *s);          /* NUL-terminated; copies */
EngStr *eng_str_borrow(EngRun *run, const char *s, size_t n, size_t chars); /* s outlives run */
EngStr *eng_str_char(EngRun *run, uint32_t cp);
EngStr *eng_str_printf(EngRun *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
EngStr *eng_str_mark(EngRun *run, const EngStr *s, bool markup); /* the same text, so marked */
EngStr *eng_str_concat(EngRun *run, EngStr *a, EngStr *b);       /* plain */
EngStr *eng_str_repeat(EngRun *run, const EngStr *s, int64_t times);
EngStr *eng_str_escape(EngRun *run, const EngStr *s); /* & < > ' "; the result is markup */

/* ---- taking apart ---- */

bool eng_str_equal(const EngStr *a, const EngStr *b);
bool eng_str_is_text(const EngStr *a, const char *text);
int eng_str_compare(const EngStr *a, const EngStr *b);         /* by code point */
size_t eng_str_offset(EngRun *run, const EngStr *s, size_t i); /* byte offset of code point i */
EngStr *eng_str_cut(EngRun *run, const EngStr *s, size_t from, size_t to); /* by bytes; shares */
EngStr *eng_str_slice(EngRun *run, const EngStr *s, int64_t start, int64_t step, int64_t n);
#define ENG_STR_NOT_FOUND SIZE_MAX
size_t eng_str_find(EngRun *run, const EngStr *s, const EngStr *sub, size_t from, size_t to);
size_t eng_str_rfind(EngRun *run, const EngStr *s, const EngStr *sub, size_t from, size_t to);
EngStr *eng_str_replace(EngRun *run, const EngStr *s, const EngStr *old, const EngStr *by,
                        int64_t count);
enum { ENG_STRIP_LEFT = 1, ENG_STRIP_RIGHT = 2 };
EngStr *eng_str_strip(EngRun *run, const EngStr *s, const EngStr *chars, int sides);
EngList *eng_str_split(EngRun *run, const EngStr *s, const EngStr *sep, int64_t max);
EngList *eng_str_rsplit(EngRun *run, const EngStr *s, const EngStr *sep, int64_t max);
EngList *eng_str_lines(EngRun *run, const EngStr *s, bool keep_ends);

/* ---- case ---- */

EngStr *eng_str_upper(EngRun *run, const EngStr *s);
EngStr *eng_str_lower(EngRun *run, const EngStr *s);
EngStr *eng_str_title(EngRun *run, const EngStr *s);
EngStr *eng_str_capitalize(EngRun *run, const EngStr *s);
EngStr *eng_str_swapcase(EngRun *run, const EngStr *s);
EngStr *eng_str_casefold(EngRun *run, const EngStr *s);
bool eng_str_all(const EngStr *s, EngCharClass what); /* and not empty */
bool eng_str_is_case(const EngStr *s, bool upper);    /* isupper(), islower() */
bool eng_str_is_title(const EngStr *s);

#endif
