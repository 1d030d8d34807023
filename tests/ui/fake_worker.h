/* A HearthWorker without an engine, linked in the place of the real one: the test says what model
 * there is and writes the answers itself, through the real job and its stream. */
#ifndef FAKE_WORKER_H
#define FAKE_WORKER_H

#include "worker/flow/stream.h"
#include "worker/worker.h"

/* path NULL and name "Ember" = the built-in model; name NULL = none. error: of _FAILED. */
void fake_worker_set_model(HearthWorker *worker, HearthModelState state, const char *path,
                           const char *name, const char *error);
void fake_worker_set_context(HearthWorker *worker, int used, int size);
void fake_worker_set_speed(HearthWorker *worker, double speed);

/* Of the answer that was asked for last; NULL = none yet. Borrowed. */
HearthStream *fake_worker_stream(HearthWorker *worker);

/* Tells the job's owner now. */
void fake_worker_flush(HearthWorker *worker);

/* How many answers were asked for. */
int fake_worker_asked(HearthWorker *worker);

/* The text that was counted last; borrowed. */
const char *fake_worker_counted(HearthWorker *worker);

#endif
