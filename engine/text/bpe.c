#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>
#include "base/num.h"

#define SHORT 32         /* bytes of a piece up to which a scan beats the heap */
#define CACHE_SLOTS 8192 /* power of two */
#define CACHE_BYTES 24
#define CACHE_TOKENS 6
#define CACHE_FROM 4096 /* bytes of text from which a cache pays */

typedef struct {
    uint8_t n_bytes, n_tokens; /* 0 bytes: free */
    char bytes[CACHE_BYTES];
    int32_t tokens[CACHE_TOKENS];
} Word;

typedef struct {
    int32_t token;       /* -1: merged away */
    uint32_t prev, next; /* NONE at the ends */
} Symbol;

typedef struct {
    uint64_t order; /* rank, then position */
    int32_t result;
} Candidate;

#define NONE UINT32_MAX

struct EngBpeScratch {
    EngVec(Symbol) symbols;
    EngVec(Candidate) heap;
    Word *words; /* [CACHE_SLOTS], NULL = no cache */
};

/* ---- the list of merges ---------------------------------------------------------------------- */

static uint64_t pair_hash(int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static EngMerge *merge_slot(const EngBpe *bpe, int32_t left, int32_t right)
{
    for (uint64_t i = pair_hash(left, right);; i++) {
        EngMerge *slot = &bpe->slots[i & bpe->mask];
        if (slot->left < 0 || (slot->left == left && slot->right == right)) return slot;
    }
}

static const EngMerge *find_merge(const EngBpe *bpe, int32_t left, int32_t right)
{
    const EngMerge *slot = merge_slot(bpe, left, right);
    return slot->left < 0 ? NULL : slot;
}

/* "left right"; neither part contains a space, but the left one may begin with it. A merge whose
 * parts or result are no tokens can never give one: vocabularies that were cut have such. */
static void add_merge(EngBpe *bpe, EngGgufString s, uint32_t rank)
{
    const EngVocab *vocab = bpe->vocab;
    const char *space = s.n > 1 ? memchr(s.s + 1, ' ', s.n - 1) : NULL;
    if (!space) return;
    size_t n_left = (size_t)(space - s.s), n_right = s.n - n_left - 1;
    char buffer[256], *joined = buffer;
    if (s.n > sizeof buffer) joined = eng_alloc0(s.n);
    memcpy(joined, s.s, n_left);
    memcpy(joined + n_left, space + 1, n_right);
    int32_t left = eng_vocab_find(vocab, &vocab->texts, s.s, n_left);
    int32_t right = eng_vocab_find(vocab, &vocab->texts, space + 1, n_right);
    int32_t result = eng_vocab_find(vocab, &vocab->texts, joined, n_left + n_right);
    if (joined != buffer) free(joined);
    if (left < 0 || right < 0 || result < 0) return;
    EngMerge *slot = merge_slot(bpe, left, right);
    if (slot->left < 0) *slot = (EngMerge){left, right, result, rank};
}

bool eng_bpe_init(EngBpe *bpe, const EngVocab *vocab, const EngGguf *gguf, bool whole_first,
                  EngError *err)
{
    const uint8_t *items;
    uint64_t n, slots = 16;
    memset(bpe, 0, sizeof *bpe);
    if (!eng_gguf_array(gguf, "tokenizer.ggml.merges", ENG_GGUF_STRING, &items, &n, err))
        return false;
    if (n == 0)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This byte-pair vocabulary has no merges (tokenizer.ggml.merges); convert "
                        "the model again.");
    if (n > INT32_MAX)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This vocabulary claims %llu merges; the file is probably damaged: "
                        "download it again.",
                        (unsigned long long)n);
    while (slots < 2 * n) slots *= 2;
    bpe->vocab = vocab;
    bpe->whole_first = whole_first;
    bpe->mask = slots - 1;
    bpe->slots = eng_alloc0(slots * sizeof *bpe->slots);
    for (uint64_t i = 0; i < slots; i++) bpe->slots[i].left = -1;
    for (uint64_t i = 0; i < n; i++) add_merge(bpe, eng_gguf_next_string(&items), (uint32_t)i);
    return true;
}

void eng_bpe_clear(EngBpe *bpe)
{
    free(bpe->slots);
    memset(bpe, 0, sizeof *bpe);
}

/* ---- one piece ------------------------------------------------------------------------------- */

EngBpeScratch *eng_bpe_scratch_new(size_t text_len)
{
    EngBpeScratch *scratch = eng_alloc0(sizeof *scratch);
    if (text_len >= CACHE_FROM) scratch->words = eng_alloc0(CACHE_SLOTS * sizeof(Word));
    return scratch;
}

void eng_bpe_scratch_free(EngBpeScratch *scratch)
{
    if (!scratch) return;
    free(scratch->symbols.data);
    free(scratch->heap.data);
    free(scratch->words);
    free(scratch);
}

/* The token of a single byte, or the unknown token, or -1. */
static int32_t byte_token(const EngVocab *vocab, char byte)
{
    int32_t id = vocab->byte_tokens[(uint8_t)byte];
    return id >= 0 ? id : vocab->unk;
}

static void encode_short(const EngBpe *bpe, const char *piece, size_t n, EngTokens *out)
{
    int32_t tokens[SHORT];
    const EngMerge *merges[SHORT]; /* of token i with its right neighbour */
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        tokens[count] = byte_token(bpe->vocab, piece[i]);
        count += tokens[count] >= 0;
    }
    for (size_t i = 0; i + 1 < count; i++) merges[i] = find_merge(bpe, tokens[i], tokens[i + 1]);
    while (count > 1) {
        size_t best = count;
        for (size_t i = 0; i + 1 < count; i++)
            if (merges[i] && (best == count || merges[i]->rank < merges[best]->rank)) best = i;
        if (best == count) break;
        tokens[best] = merges[best]->result;
        count--;
        for (size_t i = best + 1; i < count; i++) {
            tokens[i] = tokens[i + 1];
            merges[i - 1] = merges[i];
        }
        if (best > 0) merges[best - 1] = find_merge(bpe, tokens[best - 1], tokens[best]);
        if (best + 1 < count) merges[best] = find_merge(bpe, tokens[best], tokens[best + 1]);
    }
    for (size_t i = 0; i < count; i++) eng_vec_push(out, tokens[i]);
}

static void heap_push(EngBpeScratch *scratch, Candidate candidate)
{
    eng_vec_push(&scratch->heap, candidate);
    Candidate *heap = scratch->heap.data;
    size_t i = scratch->heap.n - 1;
    for (; i > 0 && heap[(i - 1) / 2].order > candidate.order; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = candidate;
}

static Candidate heap_pop(EngBpeScratch *scratch)
{
    Candidate *heap = scratch->heap.data, top = heap[0];
    size_t n = --scratch->heap.n, i = 0;
    Candidate last = heap[n];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && heap[child + 1].order < heap[child].order) child++;
        if (last.order <= heap[child].order) break;
        heap[i] = heap[child];
        i = child;
    }
    if (n) heap[i] = last;
    return top;
}

static void push_pair(const EngBpe *bpe, EngBpeScratch *scratch, uint32_t at)
{
    const Symbol *symbols = scratch->symbols.data;
    if (at == NONE || symbols[at].next == NONE) return;
    const EngMerge *merge = find_merge(bpe, symbols[at].token, symbols[symbols[at].next].token);
    if (merge) heap_push(scratch, (Candidate){(uint64_t)merge->rank << 32 | at, merge->result});
}

static void encode_long(const EngBpe *bpe, EngBpeScratch *scratch, const char *piece, size_t n,
                        EngTokens *out)
{
    scratch->symbols.n = scratch->heap.n = 0;
    eng_vec_reserve(&scratch->symbols, n);
    for (size_t i = 0; i < n; i++) {
        int32_t token = byte_token(bpe->vocab, piece[i]);
        uint32_t at = (uint32_t)scratch->symbols.n;
        if (token >= 0) eng_vec_push(&scratch->symbols, ((Symbol){token, at - 1, at + 1}));
    }
    if (scratch->symbols.n == 0) return;
    Symbol *symbols = scratch->symbols.data; /* at - 1 of the first is NONE already */
    symbols[scratch->symbols.n - 1].next = NONE;
    for (size_t i = 0; i < scratch->symbols.n; i++) push_pair(bpe, scratch, (uint32_t)i);
    while (scratch->heap.n) {
        Candidate top = heap_pop(scratch);
        uint32_t at = (uint32_t)top.order;
        Symbol *left = &symbols[at];
        if (left->token < 0 || left->next == NONE) continue;
        Symbol *right = &symbols[left->next];
        const EngMerge *merge = find_merge(bpe, left->token, right->token);
        if (!merge || merge->result != top.result) continue; /* one of them was merged since */
        left->token = top.result;
        left->next = right->next;
        right->token = -1;
        if (left->next != NONE) symbols[left->next].prev = at;
        push_pair(bpe, scratch, left->prev);
        push_pair(bpe, scratch, at);
    }
    for (uint32_t at = 0; at != NONE; at = symbols[at].next) eng_vec_push(out, symbols[at].token);
}

static Word *find_word(EngBpeScratch *scratch, const char *piece, size_t n)
{
    uint64_t h = n, word = 0;
    for (size_t i = 0; i < n; i += 8) {
        memcpy(&word, piece + i, ENG_MIN(n - i, 8));
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return &scratch->words[h & (CACHE_SLOTS - 1)];
}

static void encode_piece(const EngBpe *bpe, EngBpeScratch *scratch, const char *piece, size_t n,
                         EngTokens *out)
{
    const EngVocab *vocab = bpe->vocab;
    if (bpe->whole_first && n <= vocab->longest) {
        int32_t id = eng_vocab_find(vocab, &vocab->bytes, piece, n);
        if (id >= 0) {
            eng_vec_push(out, id);
            return;
        }
    }
    if (n <= SHORT)
        encode_short(bpe, piece, n, out);
    else
        encode_long(bpe, scratch, piece, n, out);
}

void eng_bpe_encode(const EngBpe *bpe, EngBpeScratch *scratch, const char *piece, size_t n,
                    EngTokens *out)
{
    if (!scratch->words || n == 0 || n > CACHE_BYTES) {
        encode_piece(bpe, scratch, piece, n, out);
        return;
    }
    Word *word = find_word(scratch, piece, n);
    if (word->n_bytes == n && memcmp(word->bytes, piece, n) == 0) {
        for (int i = 0; i < word->n_tokens; i++) eng_vec_push(out, word->tokens[i]);
        return;
    }
    size_t before = out->n;
    encode_piece(bpe, scratch, piece, n, out);
    size_t got = out->n - before;
    if (got > CACHE_TOKENS) return;
    word->n_bytes = (uint8_t)n;
    word->n_tokens = (uint8_t)got;
    memcpy(word->bytes, piece, n);
    if (got) memcpy(word->tokens, out->data + before, got * sizeof *out->data);
}
