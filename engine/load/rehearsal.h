/* Weights for a model that is not there. Random blocks stand in for a file's tensors, so that the
 * true speed of a model can be measured before a byte of it is downloaded.
 *
 * Tensors of one type share a pool of blocks and are laid into it one behind the other. A model
 * larger than the memory given goes round each pool several times: a byte then stands for several,
 * always of another layer, and as long as the pool is many times the caches nobody can tell.
 *
 * The numbers are of mean zero and of the size that trained weights have, so that activations stay
 * finite and the router chooses other experts for each token. Norms are 1, biases 0. */
#ifndef ENG_LOAD_REHEARSAL_H
#define ENG_LOAD_REHEARSAL_H

#include "load/gguf.h"

typedef struct EngRehearsal EngRehearsal;

/* Gives every tensor of `gguf` its data, in at most `dram` bytes. ENG_ERR_MEMORY names the least
 * when that is too little: one whole tensor of each type. Must outlive the model. */
EngRehearsal *eng_rehearsal_new(EngGguf *gguf, uint64_t dram, EngError *err);
void eng_rehearsal_free(EngRehearsal *rehearsal);

/* Fills about the next `n` bytes; until then the blocks are zero. */
void eng_rehearsal_fill(EngRehearsal *rehearsal, uint64_t n);

/* Bytes of all pools, and how many of them are filled. */
uint64_t eng_rehearsal_bytes(const EngRehearsal *rehearsal, uint64_t *ret_filled);

#endif
