#include "text/special.h"

#include <stdlib.h>
#include <string.h>
#include "base/num.h"

typedef struct {
    const EngToken *token;
    int32_t id;
} Entry;

static int compare(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    size_t nx = x->token->bytes_len, ny = y->token->bytes_len;
    int order = memcmp(x->token->bytes, y->token->bytes, ENG_MIN(nx, ny));
    if (order) return order;
    if (nx != ny) return nx < ny ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

void eng_special_init(EngSpecial *special, const EngVocab *vocab, unsigned types)
{
    EngVec(Entry) entries = {0};
    for (int32_t id = 0; id < vocab->n; id++) {
        const EngToken *token = &vocab->tokens[id];
        if ((types >> token->type & 1) && token->bytes_len)
            eng_vec_push(&entries, ((Entry){token, id}));
    }
    if (entries.n) qsort(entries.data, entries.n, sizeof *entries.data, compare);
    special->vocab = vocab;
    special->ids = eng_alloc0((entries.n + 1) * sizeof *special->ids);
    uint32_t counts[256] = {0};
    for (size_t i = 0; i < entries.n; i++) {
        special->ids[i] = entries.data[i].id;
        counts[(uint8_t)entries.data[i].token->bytes[0]]++;
    }
    special->first[0] = 0;
    for (int b = 0; b < 256; b++) special->first[b + 1] = special->first[b] + counts[b];
    free(entries.data);
}

void eng_special_clear(EngSpecial *special)
{
    free(special->ids);
    memset(special, 0, sizeof *special);
}

/* First index in [lo, hi) whose byte at `depth` is >= want; all there share the bytes before. A
 * token that ends at `depth` sorts first. */
static uint32_t lower_bound(const EngSpecial *special, uint32_t lo, uint32_t hi, size_t depth,
                            int want)
{
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const EngToken *token = &special->vocab->tokens[special->ids[mid]];
        int byte = depth < token->bytes_len ? (uint8_t)token->bytes[depth] : -1;
        if (byte < want)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

size_t eng_special_match(const EngSpecial *special, const char *s, size_t n, int32_t *ret_id)
{
    const EngToken *tokens = special->vocab->tokens;
    uint32_t lo = special->first[(uint8_t)s[0]], hi = special->first[(uint8_t)s[0] + 1];
    size_t best = 0;
    for (size_t depth = 1; lo < hi; depth++) {
        if (tokens[special->ids[lo]].bytes_len == depth) {
            best = depth;
            *ret_id = special->ids[lo];
        }
        if (depth == n) break;
        int byte = (uint8_t)s[depth];
        lo = lower_bound(special, lo, hi, depth, byte);
        hi = lower_bound(special, lo, hi, depth, byte + 1);
    }
    return best;
}

size_t eng_special_find(const EngSpecial *special, const char *s, size_t n, size_t pos,
                        size_t *ret_len, int32_t *ret_id)
{
    if (special->first[256] == 0) return n;
    for (; pos < n; pos++) {
        uint8_t byte = (uint8_t)s[pos];
        if (special->first[byte] == special->first[byte + 1]) continue;
        *ret_len = eng_special_match(special, s + pos, n - pos, ret_id);
        if (*ret_len) return pos;
    }
    return n;
}
