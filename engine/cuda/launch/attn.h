/* Launches of attention and of what fills its cache. `form` is ENG_CU_KV_… . */
#ifndef ENG_CUDA_LAUNCH_ATTN_H
#define ENG_CUDA_LAUNCH_ATTN_H

#include "cuda/device.h"

void eng_cuda_kv_store(EngCuda *cuda, int form, const EngCuKvStore *args);

/* many: prefill, straight into dst. Otherwise the past is cut into args->parts parts, which
 * args->partial keeps, and these are merged: the same grid for every position, so a captured graph
 * stays good. */
void eng_cuda_attn(EngCuda *cuda, int form, const EngCuAttn *args, bool many);

/* How that is launched where a block can have `shared` bytes. kernel 0: not at all. */
typedef struct {
    EngCuAttn args;
    int kernel;
    unsigned threads;
    size_t shared;
} EngCuAttnPlan;
EngCuAttnPlan eng_cuda_attn_plan(int shared, int form, const EngCuAttn *args, bool many);

/* Whether keys and values of that size can be taken, in every form of the cache: with 64 KiB up to
 * 416 numbers each, or with `inside`, values in keys, keys of up to 768. */
bool eng_cuda_attn_fits(int shared, int dk, int dv, bool inside);

/* Parts into which to cut the past of `rows` tokens whose contexts are `context` long: enough
 * blocks for all processors, none without cells when the context is full. 1 … ENG_CU_ATTN_PARTS. */
int eng_cuda_attn_parts(int processors, int rows, int heads, int n_kv, int context);

/* Bytes that partial needs, and the most that it needs with eng_cuda_attn_parts for up to
 * `most_rows` tokens: far less than with most rows and most parts at once. */
size_t eng_cuda_attn_partial_bytes(int rows, int heads, int dv, int parts);
size_t eng_cuda_attn_partial_most(int processors, int most_rows, int heads, int n_kv, int dv);

#endif
