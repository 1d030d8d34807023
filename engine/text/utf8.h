/* UTF-8, one code point at a time, over bytes that nobody has checked. Strict as the Unicode
 * standard's table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef ENG_TEXT_UTF8_H
#define ENG_TEXT_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the code point that starts at s (n > 0), or 0 when no valid one starts there. */
size_t eng_utf8_decode(const char *s, size_t n, uint32_t *ret_cp);

/* Writes cp (a valid code point) and returns its bytes, 1 … 4. */
size_t eng_utf8_encode(uint32_t cp, char out[4]);

/* Bytes of the longest valid prefix. */
size_t eng_utf8_valid(const char *s, size_t n);

#endif
