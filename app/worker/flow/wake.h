/* News for the main loop, from any thread: one pending source at most, which runs `deliver` at most
 * `per_second` times a second however often it is rung, and once more after the last ring. Those
 * with the same rate, or a whole multiple of it, deliver together. */
#ifndef HEARTH_WORKER_FLOW_WAKE_H
#define HEARTH_WORKER_FLOW_WAKE_H

#include <glib.h>

typedef struct HearthWake HearthWake;

/* On the thread whose main context is to run deliver(data). Counted. */
HearthWake *hearth_wake_new(int per_second, void (*deliver)(void *data), void *data);
HearthWake *hearth_wake_ref(HearthWake *wake);
void hearth_wake_unref(HearthWake *wake);

void hearth_wake_ring(HearthWake *wake); /* any thread */

/* Main thread: deliver does not run any more, whoever rings. Idempotent. */
void hearth_wake_close(HearthWake *wake);

#endif
