/* Text to tokens and back, for the vocabulary inside a GGUF file.
 *
 *   text → special tokens split off → pre-tokenizer pieces (split.h) → bpe.h | spm.h → ids
 *
 * The result equals the reference tokenizer's (`tokenizers`, SentencePiece) on every input. A
 * tokenizer is immutable once made and may be used from any thread. Invalid UTF-8 never fails: each
 * offending byte is encoded through its byte token, or as U+FFFD where it has none. EOS is never
 * added, whatever the file asks for: these texts are there to be continued. */
#ifndef ENG_TEXT_TOKENIZER_H
#define ENG_TEXT_TOKENIZER_H

#include "load/gguf.h"

typedef struct EngTokenizer EngTokenizer;

/* From tokenizer.ggml.* keys. Borrows gguf's bytes: gguf must outlive it. */
EngTokenizer *eng_tokenizer_new(const EngGguf *gguf, EngError *err);
void eng_tokenizer_free(EngTokenizer *tokenizer);

/* *ret_tokens is malloc'ed; see EngTokenizeOptions for the options. */
bool eng_tokenizer_encode(const EngTokenizer *tokenizer, const char *text, size_t len,
                          EngTokenizeOptions options, int32_t **ret_tokens, size_t *ret_n,
                          EngError *err);

/* Bytes of one token, borrowed, possibly half a character. Control tokens give their text only when
 * `special`, otherwise 0 bytes. `first`: the token opens the text (SentencePiece drops the space
 * that it put before the first word). An id out of range gives 0 bytes. */
size_t eng_tokenizer_piece(const EngTokenizer *tokenizer, int32_t token, bool special, bool first,
                           const char **ret_bytes);

int eng_tokenizer_size(const EngTokenizer *tokenizer);
int32_t eng_tokenizer_bos(const EngTokenizer *tokenizer); /* -1 = none; likewise below */
int32_t eng_tokenizer_eos(const EngTokenizer *tokenizer);
int32_t eng_tokenizer_unk(const EngTokenizer *tokenizer);
int32_t eng_tokenizer_pad(const EngTokenizer *tokenizer);
bool eng_tokenizer_adds_bos(const EngTokenizer *tokenizer);

/* Ends an answer: EOS, EOT, EOM and the control tokens that the families use for it. */
bool eng_tokenizer_is_end(const EngTokenizer *tokenizer, int32_t token);

/* Token whose text is exactly s, or -1. */
int32_t eng_tokenizer_find(const EngTokenizer *tokenizer, const char *s, size_t len);

/* Collects token bytes and gives out whole UTF-8 characters only. Bytes that can never become a
 * character come out as U+FFFD. Fixed size: a decode step allocates nothing. */
typedef struct {
    char pending[4];
    int n;
} EngUtf8Stream;

/* Appends n bytes, writes what is complete to out (NUL-terminated; room for 3 * (n + 4) + 1 bytes);
 * returns its length. */
size_t eng_utf8_stream_push(EngUtf8Stream *stream, const char *bytes, size_t n, char *out);
/* At the end: whatever is left, as U+FFFD. */
size_t eng_utf8_stream_flush(EngUtf8Stream *stream, char *out);

#endif
