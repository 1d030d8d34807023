/* What the worker needs of a job and its owner does not: see job.h. */
#ifndef HEARTH_WORKER_JOB_STREAM_H
#define HEARTH_WORKER_JOB_STREAM_H

#include "worker/job.h"
#include "worker/flow/stream.h"

HearthJob *hearth_job_new(HearthState state);
HearthStream *hearth_job_get_stream(HearthJob *job); /* borrowed */

/* "changed" now instead of when the main loop comes to it; nothing when all has been told. */
void hearth_job_flush(HearthJob *job);

#endif
