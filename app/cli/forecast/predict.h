/* How fast a model should be, from its shapes and from what was measured of the machine: the speed
 * of each product is that of its kernel alone, with as many tokens as it will meet, or the memory's
 * where its bytes take longer to read. Attention counts with what lies before each token. What is
 * between the products (norms, activations made bytes, the router, barriers) is not in it: what a
 * model loses to that shows as the rest to 100 %. */
#ifndef HEARTH_CLI_PREDICT_H
#define HEARTH_CLI_PREDICT_H

#include "error_from.h"

typedef struct {
    double predicted; /* tok/s, at the speed of the kernels */
    double limit;     /* tok/s, if all bytes came and all products went at the machine's limits */
} HearthSpeed;

typedef struct {
    EngLimits limits;
    double parameters;      /* of the model */
    double bytes, products; /* of a generated token: read, multiply-adds */
    double expert_tokens;   /* that an expert which is at work meets in the prompt; 0: no experts */
    HearthSpeed prefill, decode;
} HearthPrediction;

typedef struct {
    const GPtrArray *peeks;      /* of EngPeek: the model's headers */
    uint64_t attention_products; /* see EngModelInfo */
    int experts_used;            /* per token */
    int batch;                   /* tokens per chunk of the prompt */
    int prompt, generate, depth; /* tokens; 0: not this test */
    EngKvType kv;
    int threads; /* 0 = one per core */
} HearthPredict;

/* Measures the machine for a few seconds. */
bool hearth_predict(const HearthPredict *what, HearthPrediction *ret, GError **error);

/* Between two, for a machine whose speed changes: `p` becomes what takes the mean of both times. */
void hearth_predict_mean(HearthPrediction *p, const HearthPrediction *later);

#endif
