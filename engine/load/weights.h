/* Binding: from tensors of a file to slots of known shape and type.
 *
 * A family asks for each tensor by name and shape; the binder checks both once, so that kernels
 * contain no checks, and remembers the first thing that was wrong: ask for everything, then call
 * eng_binder_finish. That also refuses a file with tensors that nobody asked for, because a model
 * computed without one of its parts would answer, but wrongly. */
#ifndef ENG_LOAD_WEIGHTS_H
#define ENG_LOAD_WEIGHTS_H

#include "load/gguf.h"

/* Rows of each of a weight's matrices, dealt out to NUMA nodes: the threads of node k compute rows
 * first[k] … first[k + 1] - 1. */
typedef struct {
    int n_nodes;
    int64_t first[ENG_MAX_NODES + 1];
    /* In memory near to node k: its rows of all matrices, one behind the other. NULL as long as
     * they are still read where the weight's `data` is. */
    const uint8_t *data[ENG_MAX_NODES];
} EngSplit;

/* mats matrices of `rows` rows of `cols` numbers. Points into the mapped file or the model's arena:
 * borrowed, read-only. */
typedef struct {
    const uint8_t *data; /* NULL = absent */
    EngType type;
    int64_t cols, rows, mats;
    size_t row_bytes, mat_bytes;
    const uint8_t *const *mat_data; /* when matrices lie apart (old files' experts); else NULL */
    const EngSplit *split;          /* NULL = one node, and read where it is */
} EngWeight;

/* In the file: what is there until it is placed elsewhere. */
static inline const uint8_t *eng_weight_mat(const EngWeight *w, int64_t mat)
{
    return w->mat_data ? w->mat_data[mat] : w->data + (size_t)mat * w->mat_bytes;
}

/* From `row` on to the end of the node's part. */
static inline const uint8_t *eng_weight_rows(const EngWeight *w, int64_t mat, int64_t row)
{
    const EngSplit *s = w->split;
    if (!s || !s->data[0]) return eng_weight_mat(w, mat) + (size_t)row * w->row_bytes;
    int k = 0;
    while (row >= s->first[k + 1]) k++;
    int64_t at = mat * (s->first[k + 1] - s->first[k]) + row - s->first[k];
    return s->data[k] + (size_t)at * w->row_bytes;
}

typedef struct {
    const EngGguf *gguf;
    EngArena *arena; /* takes converted vectors; lives as long as the model */
    bool *used;      /* per tensor */
    bool ok;
    bool outline; /* tensors have addresses and nothing behind them: none is read */
    EngError *err;
} EngBinder;

void eng_binder_init(EngBinder *binder, const EngGguf *gguf, EngArena *arena, EngError *err);
void eng_binder_clear(EngBinder *binder);

/* A matrix, or `mats` of them. The name is a format with at most one %d, the layer. A missing one
 * is an error when `required`, otherwise data == NULL. */
EngWeight eng_bind(EngBinder *binder, bool required, const char *name, int layer, int64_t cols,
                   int64_t rows, int64_t mats);

/* `mats` experts, in one tensor ("blk.%d.ffn_gate_exps.weight") or, in files from before 2024-04,
 * one tensor each ("blk.%d.ffn_gate.%d.weight", `old`; NULL = there was no such time). */
EngWeight eng_bind_experts(EngBinder *binder, const char *name, const char *old, int layer,
                           int64_t cols, int64_t rows, int64_t mats);

/* A vector of n floats, converted when stored as F16 or BF16. Its numbers are checked: a norm or a
 * bias that is not finite means a damaged file. */
const float *eng_bind_vector(EngBinder *binder, bool required, const char *name, int layer,
                             int64_t n);

bool eng_binder_has(const EngBinder *binder, const char *name, int layer);

/* Tensors of these layers and up are left alone (multi-token prediction). */
bool eng_binder_finish(EngBinder *binder, int n_layers);

#endif
