#include "text/utf8.h"

#include <string.h>
#include "text/tokenizer.h"

/* Bytes that the lead byte announces; 0 for a byte that can never lead. */
static size_t announced(uint8_t lead)
{
    if (lead < 0x80) return 1;
    if (lead < 0xc2) return 0;
    if (lead < 0xe0) return 2;
    if (lead < 0xf0) return 3;
    return lead < 0xf5 ? 4 : 0;
}

/* Range of the second byte, which alone excludes overlong forms and surrogates. */
static bool second_fits(uint8_t lead, uint8_t second)
{
    uint8_t lo = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t hi = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return second >= lo && second <= hi;
}

/* Bytes at s, at most n, that a valid code point could begin with; *ret_whole when they are one. */
static size_t prefix(const uint8_t *s, size_t n, bool *ret_whole)
{
    size_t need = announced(s[0]), got = need > 0;
    while (got && got < need && got < n) {
        if (got == 1 ? !second_fits(s[0], s[1]) : (s[got] & 0xc0) != 0x80) {
            *ret_whole = false;
            return got;
        }
        got++;
    }
    *ret_whole = need > 0 && got == need;
    return got;
}

size_t eng_utf8_decode(const char *s, size_t n, uint32_t *ret_cp)
{
    const uint8_t *u = (const uint8_t *)s;
    if (u[0] < 0x80) {
        *ret_cp = u[0];
        return 1;
    }
    bool whole;
    size_t len = prefix(u, n, &whole);
    if (!whole) return 0;
    uint32_t cp = u[0] & (0x7f >> len);
    for (size_t i = 1; i < len; i++) cp = cp << 6 | (u[i] & 0x3f);
    *ret_cp = cp;
    return len;
}

size_t eng_utf8_encode(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)(0xf00 >> len | cp);
    return len;
}

size_t eng_utf8_valid(const char *s, size_t n)
{
    size_t pos = 0;
    uint32_t cp;
    while (pos < n) {
        uint64_t word;
        if (n - pos >= 8 && (memcpy(&word, s + pos, 8), !(word & 0x8080808080808080u))) {
            pos += 8;
            continue;
        }
        size_t len = eng_utf8_decode(s + pos, n - pos, &cp);
        if (!len) break;
        pos += len;
    }
    return pos;
}

static size_t put_replacement(char *out)
{
    memcpy(out, "\xef\xbf\xbd", 3);
    return 3;
}

size_t eng_utf8_stream_push(EngUtf8Stream *stream, const char *bytes, size_t n, char *out)
{
    size_t written = 0;
    for (size_t i = 0; i < n; i++) {
        stream->pending[stream->n++] = bytes[i];
        for (;;) {
            bool whole;
            size_t all = (size_t)stream->n;
            size_t good = all ? prefix((const uint8_t *)stream->pending, all, &whole) : 0;
            if (all == 0 || (good == all && !whole)) break; /* nothing, or more may come */
            if (whole) {
                memcpy(out + written, stream->pending, good);
                written += good;
            } else { /* the maximal part that no byte can complete becomes one U+FFFD */
                written += put_replacement(out + written);
                if (!good) good = 1;
            }
            stream->n -= (int)good;
            memmove(stream->pending, stream->pending + good, (size_t)stream->n);
        }
    }
    out[written] = '\0';
    return written;
}

size_t eng_utf8_stream_flush(EngUtf8Stream *stream, char *out)
{
    size_t written = stream->n ? put_replacement(out) : 0;
    stream->n = 0;
    out[written] = '\0';
    return written;
}
