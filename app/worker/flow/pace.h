/* How many tokens of a prompt one step reads: the fewest that lose no speed worth having, so that
 * progress is told often even where a step of the largest chunk takes a minute. Doubles while a
 * step takes less than a second or the doubling pays. One per model. */
#ifndef HEARTH_WORKER_FLOW_PACE_H
#define HEARTH_WORKER_FLOW_PACE_H

#include <stdbool.h>

/* hearth_pace_init() */
typedef struct {
    int chunk;    /* tokens: of the next step */
    double speed; /* tokens per second, of the step measured last; 0 = none yet */
    bool settled;
} HearthPace;

void hearth_pace_init(HearthPace *pace);

/* A step took `seconds` for `tokens`. */
void hearth_pace_measure(HearthPace *pace, int tokens, double seconds);

#endif
