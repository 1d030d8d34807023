#include "text/unicode.h"

uint32_t eng_unicode_stand_in(uint32_t cp)
{
    size_t lo = 0, hi = eng_unicode_n_ranges;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const EngUnicodeRange *range = &eng_unicode_ranges[mid];
        if (cp < range->first)
            hi = mid;
        else if (cp > range->last)
            lo = mid + 1;
        else
            return eng_unicode_stand_ins[range->as];
    }
    return cp;
}

bool eng_unicode_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

/* The printable bytes of Latin-1 stand for themselves; the others, in order, for U+0100 and up. */
static bool stands_for_itself(uint32_t byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

uint32_t eng_unicode_of_byte(uint8_t byte)
{
    if (stands_for_itself(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    return byte == 0xad ? 0x143 : 0x100u + 0x21 + (byte - 0x7fu);
}

int eng_unicode_to_byte(uint32_t cp)
{
    if (cp < 0x100) return stands_for_itself(cp) ? (int)cp : -1;
    if (cp > 0x143) return -1;
    if (cp == 0x143) return 0xad;
    return cp <= 0x120 ? (int)(cp - 0x100) : (int)(cp - 0x121 + 0x7f);
}
