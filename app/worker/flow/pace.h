/* How many tokens of a prompt are read at once: the fewest that lose no speed worth having, so that
 * a stop loses little and, with a GPU, which computes a chunk in one step, progress is told often.
 * Doubles while a chunk takes less than a second or the doubling pays. One per model. */
#ifndef HEARTH_WORKER_FLOW_PACE_H
#define HEARTH_WORKER_FLOW_PACE_H

#include <stdbool.h>

/* hearth_pace_init() */
typedef struct {
    int chunk;    /* tokens: of the next one */
    int most;     /* tokens */
    double speed; /* tokens per second, of the chunk measured last; 0 = none yet */
    bool settled;
} HearthPace;

void hearth_pace_init(HearthPace *pace, int most);

/* A chunk of `tokens` took `seconds`. */
void hearth_pace_measure(HearthPace *pace, int tokens, double seconds);

#endif
