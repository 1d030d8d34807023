/* What computes: a backend walks a range of a graph's ops for a batch of tokens. It owns the
 * buffers that the graph's views point into; the session keeps everything that outlives a batch. */
#ifndef ENG_PLAN_BACKEND_H
#define ENG_PLAN_BACKEND_H

#include "model/graph.h"
#include "model/kv.h"

/* Tokens of one or several sessions; those of one session are neighbours, in ascending position. */
typedef struct {
    int n;
    const int32_t *tokens;    /* [n] ids, in range */
    const int32_t *positions; /* [n] below the session's context */
    EngKv *const *kvs;        /* [n] the session's cache */
    int n_out;
    const int32_t *out; /* [n_out] rows whose logits are wanted, ascending */
} EngBatch;

typedef struct EngBackend EngBackend;
struct EngBackend {
    /* Runs ops first … first + n - 1. One caller at a time. Allocates nothing. */
    void (*run)(EngBackend *backend, int first, int n, const EngBatch *batch);
    /* [n_out][n_vocab] of the last run; borrowed until the next. */
    const float *(*logits)(const EngBackend *backend);
    void (*free)(EngBackend *backend);
    int max_tokens, max_out; /* per batch */
    int threads;
    size_t bytes; /* of buffers */
};

#endif
