/* Tokens per second over the last second. */
#ifndef HEARTH_WORKER_FLOW_RATE_H
#define HEARTH_WORKER_FLOW_RATE_H

#include <stdbool.h>

#define HEARTH_RATE_HZ 5

/* Zeroed is valid. */
typedef struct {
    double time[HEARTH_RATE_HZ + 1]; /* seconds, oldest first */
    int tokens[HEARTH_RATE_HZ + 1];
    int n;
} HearthRate;

/* `tokens` so far. True five times a second: a new value is there. */
bool hearth_rate_add(HearthRate *rate, double time, int tokens);
double hearth_rate_get(const HearthRate *rate);

#endif
