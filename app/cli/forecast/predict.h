/* How fast a model should be: what a plan adds up (EngPlan), at the speed that each kernel was
 * measured to have alone with as many tokens as it will meet. What is between the products (norms,
 * activations made bytes, the router, barriers) is not in it: what a model loses to that shows as
 * the rest to 100 %. */
#ifndef HEARTH_CLI_PREDICT_H
#define HEARTH_CLI_PREDICT_H

#include "cli/measure.h"

typedef struct {
    double predicted; /* tok/s, at the speed of the kernels */
    double limit;     /* tok/s, if all bytes came and all products went at the machine's limits */
} HearthSpeed;

typedef struct {
    EngLimits limits;
    double bytes, products; /* of a generated token: read, multiply-adds */
    double expert_tokens;   /* that an expert which is at work meets in the prompt; 0: no experts */
    HearthSpeed prefill, decode; /* 0: not measured */
} HearthPrediction;

/* Measures the machine for a few seconds. `model`: a rehearsal, opened by `rules` (NULL = none) for
 * what is to be measured. */
bool hearth_predict(const EngModel *model, const HearthMeasure *measure, const char *rules,
                    HearthPrediction *ret, GError **error);

/* Between two, for a machine whose speed changes: `p` becomes what takes the mean of both times. */
void hearth_predict_mean(HearthPrediction *p, const HearthPrediction *later);

#endif
