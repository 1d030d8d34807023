#include "text/nfc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "text/utf8.h"

typedef struct {
    uint32_t cp;
    uint8_t ccc;
} Char;

typedef struct {
    EngVec(Char) chars; /* of the stretch at hand, decomposed */
    EngVec(char) out;
} Run;

/* Hangul syllables are composed by arithmetic (Unicode Standard, 3.12). */
enum { S = 0xac00, L = 0x1100, V = 0x1161, T = 0x11a7, N_L = 19, N_V = 21, N_T = 28 };

static const EngNfcClass *find_class(const EngNfcClass *table, size_t n, uint32_t cp)
{
    size_t lo = 0;
    while (lo < n) {
        size_t mid = lo + (n - lo) / 2;
        if (cp < table[mid].from)
            n = mid;
        else if (cp > table[mid].to)
            lo = mid + 1;
        else
            return &table[mid];
    }
    return NULL;
}

static bool is_careful(uint32_t cp)
{
    return cp >= 0x300 && find_class(eng_nfc_careful, eng_nfc_n_careful, cp);
}

static void push(Run *run, uint32_t cp)
{
    const EngNfcClass *class = find_class(eng_nfc_classes, eng_nfc_n_classes, cp);
    eng_vec_push(&run->chars, ((Char){cp, class ? class->ccc : 0}));
}

/* Pushes the full canonical decomposition: at most three steps deep, the first part first. */
static void decompose(Run *run, uint32_t cp)
{
    if (cp >= S && cp < S + N_L * N_V * N_T) {
        uint32_t i = cp - S;
        push(run, L + i / (N_V * N_T));
        push(run, V + i / N_T % N_V);
        if (i % N_T) push(run, T + i % N_T);
        return;
    }
    uint32_t rest[4];
    int n = 0;
    for (;;) {
        size_t lo = 0, hi = eng_nfc_n_decompositions;
        while (lo < hi) {
            size_t mid = lo + (hi - lo) / 2;
            if (eng_nfc_decompositions[mid].whole < cp)
                lo = mid + 1;
            else
                hi = mid;
        }
        const EngNfcPair *pair = &eng_nfc_decompositions[lo];
        if (lo == eng_nfc_n_decompositions || pair->whole != cp || n == 4) break;
        if (pair->second) rest[n++] = pair->second;
        cp = pair->first;
    }
    push(run, cp);
    while (n) push(run, rest[--n]);
}

/* The code point that is a followed by b, or 0. */
static uint32_t compose(uint32_t a, uint32_t b)
{
    if (a >= L && a < L + N_L && b >= V && b < V + N_V) return S + ((a - L) * N_V + b - V) * N_T;
    if (a >= S && a < S + N_L * N_V * N_T && (a - S) % N_T == 0 && b > T && b < T + N_T)
        return a + b - T;
    size_t lo = 0, hi = eng_nfc_n_compositions;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const EngNfcPair *pair = &eng_nfc_compositions[mid];
        if (pair->first < a || (pair->first == a && pair->second < b))
            lo = mid + 1;
        else if (pair->first == a && pair->second == b)
            return pair->whole;
        else
            hi = mid;
    }
    return 0;
}

/* Stable sort of the marks between starters by class: by counting, as a hostile text may put a
 * million marks on one letter. */
static void reorder(Char *chars, size_t n)
{
    size_t counts[257] = {0};
    if (n < 2) return;
    if (n == 2) {
        if (chars[0].ccc <= chars[1].ccc) return;
        Char swapped = chars[0];
        chars[0] = chars[1];
        chars[1] = swapped;
        return;
    }
    Char *sorted = eng_alloc0(n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) counts[chars[i].ccc + 1]++;
    for (int c = 0; c < 256; c++) counts[c + 1] += counts[c];
    for (size_t i = 0; i < n; i++) sorted[counts[chars[i].ccc]++] = chars[i];
    memcpy(chars, sorted, n * sizeof *chars);
    free(sorted);
}

/* The chars of a stretch, composed and written out. */
static void finish(Run *run)
{
    Char *chars = run->chars.data;
    size_t n = run->chars.n, kept = 0, starter = n;
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (!chars[i].ccc) continue;
        while (end < n && chars[end].ccc) end++;
        reorder(chars + i, end - i);
    }
    for (size_t i = 0; i < n; i++) {
        /* Blocked: something of the same class or higher stands between. */
        bool blocked = starter == n || (kept > starter + 1 && chars[kept - 1].ccc >= chars[i].ccc);
        uint32_t whole = blocked ? 0 : compose(chars[starter].cp, chars[i].cp);
        if (whole) {
            chars[starter].cp = whole;
            continue;
        }
        if (!chars[i].ccc) starter = kept;
        chars[kept++] = chars[i];
    }
    for (size_t i = 0; i < kept; i++) {
        eng_vec_reserve(&run->out, run->out.n + 4);
        run->out.n += eng_utf8_encode(chars[i].cp, run->out.data + run->out.n);
    }
    run->chars.n = 0;
}

static void append(Run *run, const char *s, size_t n)
{
    eng_vec_reserve(&run->out, run->out.n + n);
    if (n) memcpy(run->out.data + run->out.n, s, n);
    run->out.n += n;
}

char *eng_nfc_new(const char *text, size_t n, size_t *ret_n)
{
    Run run = {0};
    size_t done = 0, last = 0; /* copied so far; start of the last char that nothing precedes */
    bool changed = false;
    for (size_t pos = 0; pos < n;) {
        uint32_t cp;
        size_t len = eng_utf8_decode(text + pos, n - pos, &cp);
        if (!is_careful(cp)) {
            last = pos;
            pos += len;
            continue;
        }
        append(&run, text + done, last - done);
        size_t from = run.out.n;
        for (pos = last; pos < n; pos += len) {
            len = eng_utf8_decode(text + pos, n - pos, &cp);
            if (pos > last && !is_careful(cp)) break;
            decompose(&run, cp);
        }
        finish(&run);
        changed |= run.out.n - from != pos - last ||
                   memcmp(run.out.data + from, text + last, pos - last) != 0;
        done = last = pos;
    }
    if (!changed) {
        free(run.chars.data);
        free(run.out.data);
        return NULL;
    }
    append(&run, text + done, n - done);
    free(run.chars.data);
    *ret_n = run.out.n;
    return run.out.data;
}
