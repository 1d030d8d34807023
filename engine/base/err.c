#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops the last character of s[len] when only its first bytes fitted. */
static void cut_at_character(char *s, size_t len)
{
    size_t lead = len - 1;
    while (lead > 0 && ((unsigned char)s[lead] & 0xc0) == 0x80) lead--;
    unsigned char c = (unsigned char)s[lead];
    size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    if (lead + want > len) s[lead] = 0;
}

int eng_err_set(EngError *err, EngErrorCode code, const char *fmt, ...)
{
    if (!err) return 0;
    EngError e = {.code = code}; /* built aside: an argument may point into *err */
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(e.message, sizeof e.message, fmt, args);
    va_end(args);
    if (n >= (int)sizeof e.message) cut_at_character(e.message, sizeof e.message - 1);
    *err = e;
    return 0;
}
