/* Finds added tokens in raw text: at each position the longest one that stands there (the
 * leftmost-longest rule of `tokenizers`). Memory: 4 bytes per added token. */
#ifndef ENG_TEXT_SPECIAL_H
#define ENG_TEXT_SPECIAL_H

#include "text/vocab.h"

typedef struct {
    const EngVocab *vocab;
    int32_t *ids;        /* sorted by bytes */
    uint32_t first[257]; /* ids that begin with byte b: first[b] … first[b + 1] - 1 */
} EngSpecial;

/* Of the vocabulary's tokens whose type's bit (1 << type) is in `types`. */
void eng_special_init(EngSpecial *special, const EngVocab *vocab, unsigned types);
void eng_special_clear(EngSpecial *special);

/* Longest token that starts at s; its length and id, or 0. */
size_t eng_special_match(const EngSpecial *special, const char *s, size_t n, int32_t *ret_id);

/* First position >= pos where a token starts, with its length and id; n when there is none. */
size_t eng_special_find(const EngSpecial *special, const char *s, size_t n, size_t pos,
                        size_t *ret_len, int32_t *ret_id);

#endif
