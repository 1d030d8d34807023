/* One answer that the worker is asked for. Lives on the main thread; the worker thread writes into
 * a locked part of it, and one pending main-loop source brings the news up at most 30 times a
 * second, however fast the tokens come. */
#ifndef HEARTH_WORKER_JOB_H
#define HEARTH_WORKER_JOB_H

#include <gio/gio.h>

#include "state.h"

#define HEARTH_TYPE_JOB (hearth_job_get_type())
G_DECLARE_FINAL_TYPE(HearthJob, hearth_job, HEARTH, JOB, GObject)

/* Signal "changed": state, progress or text are new; the last one comes with a state that is not
 * running, after which nothing comes. */

HearthState hearth_job_get_state(HearthJob *job);

/* Of HEARTH_STATE_READING: prompt tokens; of _LOADING: bytes of the model. seconds_left < 0 =
 * not known yet. Outputs may be NULL. */
void hearth_job_get_progress(HearthJob *job, gint64 *ret_done, gint64 *ret_total,
                             double *ret_seconds_left);

/* Appends what has come since the last call. Either may be NULL to leave it waiting. */
void hearth_job_take_text(HearthJob *job, GString *answer, GString *thinking);

HearthStats hearth_job_get_stats(HearthJob *job);
const char *hearth_job_get_model(HearthJob *job);   /* name of the model that answers, or "" */
const GError *hearth_job_get_error(HearthJob *job); /* of _FAILED and _CONTEXT_FULL, else NULL */

/* Takes effect within one token or one prefill chunk, or at once while queued or loading (the
 * loading itself goes on). Idempotent. */
void hearth_job_stop(HearthJob *job);

#endif
