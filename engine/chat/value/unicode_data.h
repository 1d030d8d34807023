/* Character properties and case mappings of Python's str (generated: make_unicode_data.py). */
#ifndef ENG_CHAT_UNICODE_DATA_H
#define ENG_CHAT_UNICODE_DATA_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t first, last;
} EngUnicodeRange;

typedef struct {
    uint32_t from, to[3]; /* to: 0-terminated when shorter */
} EngUnicodeCase;

#define ENG_UNICODE_RANGES(name)                                                                   \
    extern const EngUnicodeRange eng_unicode_##name[];                                             \
    extern const size_t eng_unicode_n_##name
#define ENG_UNICODE_CASES(name)                                                                    \
    extern const EngUnicodeCase eng_unicode_##name[];                                              \
    extern const size_t eng_unicode_n_##name

ENG_UNICODE_RANGES(alpha);
ENG_UNICODE_RANGES(decimal);
ENG_UNICODE_RANGES(digit);
ENG_UNICODE_RANGES(numeric);
ENG_UNICODE_RANGES(upper);
ENG_UNICODE_RANGES(lower);
ENG_UNICODE_RANGES(cased);
ENG_UNICODE_RANGES(title);
ENG_UNICODE_RANGES(ignorable);
ENG_UNICODE_RANGES(printable);
ENG_UNICODE_RANGES(identifier);
ENG_UNICODE_CASES(to_upper);
ENG_UNICODE_CASES(to_lower);
ENG_UNICODE_CASES(to_title); /* where it differs from to_upper */
ENG_UNICODE_CASES(to_fold);  /* where it differs from to_lower */

#endif
