/* The tokens that may come next, and the one way to drop some of them.
 *
 * Candidates always stand by ascending token id: nothing here sorts. To keep the best of them, a
 * radix selection over the bits of the ranking value finds the value at which to cut, whatever the
 * shape of the distribution, in time linear in their number; equal values are cut by token id. So
 * what is kept is a function of the logits alone. The exponential is our own, so that the same
 * holds from one C library to the next. */
#ifndef ENG_SAMPLE_CANDIDATES_H
#define ENG_SAMPLE_CANDIDATES_H

#include "base/err.h"

typedef struct {
    int n;
    int32_t *id;    /* [n], ascending */
    float *logit;   /* [n] */
    float *weight;  /* [n] exp(logit - largest), valid after eng_candidates_softmax */
    double total;   /* of the weights: weight[i] / total is a probability */
    float *rank;    /* [n] scratch of eng_candidates_typical */
    int32_t *index; /* [n] scratch of the selection */
    double *bins;   /* [ENG_CANDIDATES_BINS] scratch of the selection */
} EngCandidates;

#define ENG_CANDIDATES_BINS (4 * 2048)

/* Starts with the n tokens whose logits lie in c->logit; those at minus infinity are dropped.
 * ENG_ERR_REFUSED when a logit is not a number or is plus infinity, or when none is left. */
bool eng_candidates_start(EngCandidates *c, int n, EngError *err);
bool eng_candidates_refuse(EngError *err); /* says so; false */

/* Each step keeps at least one candidate and makes c->weight stale. */
void eng_candidates_top_k(EngCandidates *c, int k);
void eng_candidates_typical(EngCandidates *c, float mass);
void eng_candidates_top_p(EngCandidates *c, float mass);
void eng_candidates_min_p(EngCandidates *c, float ratio);

/* Only the largest logit, the lowest id among equals. */
void eng_candidates_greedy(EngCandidates *c);

/* Fills weight and total for logits divided by `temperature` (> 0). */
void eng_candidates_softmax(EngCandidates *c, float temperature);

/* The token at `uniform` (in [0, 1)) of the total weight. */
int32_t eng_candidates_draw(const EngCandidates *c, double uniform);

#endif
