#include "text/spm.h"

#include <stdlib.h>
#include <string.h>
#include "text/utf8.h"

typedef struct {
    uint32_t from, n;    /* bytes; n = 0: merged away */
    uint32_t prev, next; /* NONE at the ends */
} Symbol;

typedef struct {
    float score;
    uint32_t left, n; /* symbol, bytes of the pair */
} Candidate;

#define NONE UINT32_MAX

typedef struct {
    const EngSpm *spm;
    const char *text;
    EngVec(Symbol) symbols;
    EngVec(Candidate) heap;
    bool was_unknown; /* the last token given out is the unknown one */
} Run;

static bool joins_words(const EngToken *token)
{
    for (uint32_t i = 1; i < token->bytes_len; i++)
        if (token->bytes[i] == ' ' && token->bytes[i - 1] != ' ') return true;
    return false;
}

bool eng_spm_init(EngSpm *spm, const EngVocab *vocab, EngError *err)
{
    memset(spm, 0, sizeof *spm);
    for (int b = 0; b < 256 && vocab->unk < 0; b++)
        if (vocab->byte_tokens[b] < 0)
            return eng_fail(err, ENG_ERR_REFUSED,
                            "This SentencePiece vocabulary has neither an unknown token nor all "
                            "byte tokens; convert the model again.");
    spm->vocab = vocab;
    for (int i = 0; i < vocab->n && !spm->joins_words; i++)
        spm->joins_words = vocab->tokens[i].type != ENG_TOKEN_CONTROL &&
                           vocab->tokens[i].type != ENG_TOKEN_UNKNOWN &&
                           joins_words(&vocab->tokens[i]);
    eng_special_init(&spm->user, vocab, 1u << ENG_TOKEN_USER);
    return true;
}

void eng_spm_clear(EngSpm *spm)
{
    eng_special_clear(&spm->user);
    memset(spm, 0, sizeof *spm);
}

static bool before(const Candidate *a, const Candidate *b)
{
    return a->score != b->score ? a->score > b->score : a->left < b->left;
}

static void heap_push(Run *run, Candidate candidate)
{
    eng_vec_push(&run->heap, candidate);
    Candidate *heap = run->heap.data;
    size_t i = run->heap.n - 1;
    for (; i > 0 && before(&candidate, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = candidate;
}

static Candidate heap_pop(Run *run)
{
    Candidate *heap = run->heap.data, top = heap[0];
    size_t n = --run->heap.n, i = 0;
    Candidate last = heap[n];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && before(&heap[child + 1], &heap[child])) child++;
        if (!before(&heap[child], &last)) break;
        heap[i] = heap[child];
        i = child;
    }
    if (n) heap[i] = last;
    return top;
}

static int32_t find(const Run *run, uint32_t from, uint32_t n)
{
    const EngVocab *vocab = run->spm->vocab;
    if (n > vocab->longest) return -1;
    return eng_vocab_find(vocab, &vocab->bytes, run->text + from, n);
}

static void push_pair(Run *run, uint32_t left)
{
    const Symbol *symbols = run->symbols.data;
    if (left == NONE || symbols[left].next == NONE) return;
    uint32_t n = symbols[left].n + symbols[symbols[left].next].n;
    int32_t id = find(run, symbols[left].from, n);
    if (id >= 0) heap_push(run, (Candidate){run->spm->vocab->tokens[id].score, left, n});
}

/* Splits [from, to) into characters; a byte that is none is a symbol of its own, like a character
 * without a token. */
static void add_symbols(Run *run, size_t from, size_t to)
{
    uint32_t cp;
    run->symbols.n = run->heap.n = 0;
    while (from < to) {
        size_t len = eng_utf8_decode(run->text + from, to - from, &cp);
        uint32_t at = (uint32_t)run->symbols.n;
        if (!len) len = 1;
        eng_vec_push(&run->symbols, ((Symbol){(uint32_t)from, (uint32_t)len, at - 1, at + 1}));
        from += len;
    }
    run->symbols.data[run->symbols.n - 1].next = NONE;
}

static void merge_all(Run *run)
{
    for (size_t i = 0; i < run->symbols.n; i++) push_pair(run, (uint32_t)i);
    while (run->heap.n) {
        Candidate top = heap_pop(run);
        Symbol *symbols = run->symbols.data, *left = &symbols[top.left];
        if (left->n == 0 || left->next == NONE) continue;
        Symbol *right = &symbols[left->next];
        if (left->n + right->n != top.n) continue; /* one of them was merged since */
        left->n = top.n;
        left->next = right->next;
        right->n = 0;
        if (left->next != NONE) symbols[left->next].prev = top.left;
        push_pair(run, left->prev);
        push_pair(run, top.left);
    }
}

/* A character that is no token. */
static void give_bytes(Run *run, const Symbol *symbol, EngTokens *out)
{
    const EngVocab *vocab = run->spm->vocab;
    const uint8_t *bytes = (const uint8_t *)run->text + symbol->from;
    bool all = true;
    for (uint32_t i = 0; i < symbol->n; i++) all &= vocab->byte_tokens[bytes[i]] >= 0;
    for (uint32_t i = 0; i < symbol->n && all; i++) eng_vec_push(out, vocab->byte_tokens[bytes[i]]);
    if (!all && !run->was_unknown) eng_vec_push(out, vocab->unk);
    run->was_unknown = !all;
}

static void encode_word(Run *run, size_t from, size_t to, EngTokens *out)
{
    add_symbols(run, from, to);
    merge_all(run);
    for (uint32_t at = 0; at != NONE; at = run->symbols.data[at].next) {
        const Symbol *symbol = &run->symbols.data[at];
        int32_t id = find(run, symbol->from, symbol->n);
        if (id < 0) {
            give_bytes(run, symbol, out);
        } else {
            eng_vec_push(out, id);
            run->was_unknown = false;
        }
    }
}

/* Where no token joins two words, merging word by word gives the same and is much faster. */
static void encode_span(Run *run, size_t from, size_t to, EngTokens *out)
{
    const char *text = run->text;
    run->was_unknown = false;
    while (from < to) {
        size_t end = run->spm->joins_words ? to : from + 1;
        while (end < to && (text[end] != ' ' || text[end - 1] == ' ')) end++;
        encode_word(run, from, end, out);
        from = end;
    }
}

void eng_spm_encode(const EngSpm *spm, const char *text, size_t n, EngTokens *out)
{
    Run run = {.spm = spm, .text = text};
    for (size_t pos = 0; pos < n;) {
        size_t len = 0;
        int32_t id = -1;
        size_t at = eng_special_find(&spm->user, text, n, pos, &len, &id);
        encode_span(&run, pos, at, out);
        if (at < n) eng_vec_push(out, id);
        pos = at + len;
    }
    free(run.symbols.data);
    free(run.heap.data);
}
