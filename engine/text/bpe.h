/* Byte-level BPE (the "gpt2" model): the bytes of a piece are merged pair by pair, always the pair
 * that stands first in the list of merges, leftmost first among equals, until no pair is in it.
 *
 * Equal to `tokenizers`' BPE model; a byte that has no token is left out, as there, unless the
 * vocabulary has an unknown token. Time n log n in the length of the piece. */
#ifndef ENG_TEXT_BPE_H
#define ENG_TEXT_BPE_H

#include "text/vocab.h"

typedef EngVec(int32_t) EngTokens;

typedef struct {
    int32_t left, right, result; /* left < 0: free slot */
    uint32_t rank;
} EngMerge;

typedef struct {
    const EngVocab *vocab;
    EngMerge *slots;
    uint64_t mask;
    bool whole_first; /* a piece that is a token is that token */
} EngBpe;

bool eng_bpe_init(EngBpe *bpe, const EngVocab *vocab, const EngGguf *gguf, bool whole_first,
                  EngError *err);
void eng_bpe_clear(EngBpe *bpe);

/* What one encoding needs besides: buffers, and the last words' tokens. */
typedef struct EngBpeScratch EngBpeScratch;
EngBpeScratch *eng_bpe_scratch_new(size_t text_len);
void eng_bpe_scratch_free(EngBpeScratch *scratch);

void eng_bpe_encode(const EngBpe *bpe, EngBpeScratch *scratch, const char *piece, size_t n,
                    EngTokens *out);

#endif
