/* SentencePiece BPE (the "llama" model): the characters of the text are merged pair by pair, always
 * the pair that makes the token with the highest score, leftmost first among equals.
 *
 * Spaces are spaces here: "▁" exists only in the texts of the vocabulary, whose bytes are compared.
 * User-defined tokens are found first and stay whole. A character without a token becomes its byte
 * tokens, or the unknown token; several unknown ones in a row become one.
 * Reference: SentencePiece, bpe_model.cc. Time n log n. */
#ifndef ENG_TEXT_SPM_H
#define ENG_TEXT_SPM_H

#include "text/bpe.h"
#include "text/special.h"

typedef struct {
    const EngVocab *vocab;
    EngSpecial user;
    bool joins_words; /* some token has a space after another character */
} EngSpm;

bool eng_spm_init(EngSpm *spm, const EngVocab *vocab, EngError *err);
void eng_spm_clear(EngSpm *spm);

/* Text between control tokens, its space in front already there. Any bytes. */
void eng_spm_encode(const EngSpm *spm, const char *text, size_t n, EngTokens *out);

#endif
