/* The tokens of a GGUF vocabulary: their texts, their bytes, their kinds, and who is special.
 *
 * A token's *text* is what the file says ("Ġworld", "▁world", "<0x0A>", "<|im_end|>"); its *bytes*
 * are what it stands for (" world", " world", "\n", "<|im_end|>"). Texts are borrowed from the
 * mapped file, bytes are owned. Where two tokens have one text, the lower id is found.
 * Keys: the GGUF specification, "Tokenizer". */
#ifndef ENG_TEXT_VOCAB_H
#define ENG_TEXT_VOCAB_H

#include "load/gguf.h"

typedef enum { /* tokenizer.ggml.token_type, which are SentencePiece's types */
               ENG_TOKEN_NORMAL = 1,
               ENG_TOKEN_UNKNOWN,
               ENG_TOKEN_CONTROL,
               ENG_TOKEN_USER, /* split off as a whole, before anything else */
               ENG_TOKEN_UNUSED,
               ENG_TOKEN_BYTE
} EngTokenType;

typedef struct {
    const char *text, *bytes;
    uint32_t text_len, bytes_len;
    float score;
    uint8_t type;    /* EngTokenType */
    bool ends;       /* ends an answer */
    bool eats_right; /* white space after it belongs to it ("rstrip") */
} EngToken;

/* Open-addressing index from a string to the token that has it as text (or bytes). */
typedef struct {
    struct EngVocabSlot *slots;
    uint64_t mask, seed;
    bool by_bytes;
} EngVocabIndex;

typedef struct {
    EngArena arena;
    EngToken *tokens; /* [n] */
    int n;
    bool spm;                   /* SentencePiece; otherwise byte-level BPE */
    EngVocabIndex texts;        /* of all tokens */
    EngVocabIndex bytes;        /* of those that text is made of; see eng_vocab_index_bytes */
    size_t longest;             /* bytes of the longest token in `bytes` */
    int32_t byte_tokens[256];   /* token of one byte, -1 = none */
    int32_t bos, eos, unk, pad; /* -1 = none */
} EngVocab;

bool eng_vocab_init(EngVocab *vocab, const EngGguf *gguf, EngError *err);
void eng_vocab_clear(EngVocab *vocab);

/* Makes `bytes` and `longest`: normal and unused tokens, and SentencePiece's user-defined ones. */
void eng_vocab_index_bytes(EngVocab *vocab);

/* Id, or -1. */
int32_t eng_vocab_find(const EngVocab *vocab, const EngVocabIndex *index, const char *s, size_t n);

#endif
