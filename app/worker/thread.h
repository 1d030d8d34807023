/* The worker thread: owns model and sessions, takes wishes from the main thread, reports back.
 *
 * The main thread says what it wants (a model, none, an answer); the latest wish for a model counts
 * and interrupts what runs. What the thread has to say is in one report, read by the main thread
 * when `deliver` runs there. */
#ifndef HEARTH_WORKER_THREAD_H
#define HEARTH_WORKER_THREAD_H

#include "worker/request.h"
#include "worker/flow/stream.h"
#include "worker/worker.h"

typedef struct HearthThread HearthThread;

typedef struct {
    guint serial; /* of the wish for a model that this is about */
    HearthModelState state;
    HearthModelInfo *info; /* or NULL */
    char *error;           /* or NULL */
    uint64_t loaded, total;
    double speed; /* bytes per second */
    bool busy;
    double rate;
    int context_used, context_size;
    HearthStats last; /* of the last answer of this model; zeros = none yet */
} HearthReport;

void hearth_report_clear(HearthReport *report);

/* ---- main thread ----------------------------------------------------------------------------- */

/* Counted. Runs until it is closed. */
HearthThread *hearth_thread_new(void (*deliver)(void *data), void *data);
HearthThread *hearth_thread_ref(HearthThread *thread);
void hearth_thread_unref(HearthThread *thread);

/* Ends all jobs, frees all, joins. `deliver` does not run any more. Once. */
void hearth_thread_close(HearthThread *thread);

/* A wish for a model will follow: answers that are asked for meanwhile wait for it. */
void hearth_thread_expect(HearthThread *thread);

/* `path` NULL = built in. Both return the wish's serial number. */
guint hearth_thread_load(HearthThread *thread, const char *path,
                         const HearthModelSettings *settings);
guint hearth_thread_unload(HearthThread *thread);

void hearth_thread_submit(HearthThread *thread, HearthStream *stream, HearthRequest *request);
void hearth_thread_read(HearthThread *thread, HearthReport *ret_report); /* …_clear() */

/* ---- any thread ------------------------------------------------------------------------------ */

/* What the model at `path` (NULL = built in) would be with these settings; the one that is loaded
 * gives its memory back for that. See hearth_plan_make. */
HearthPlan *hearth_thread_plan(HearthThread *thread, const char *path,
                               const HearthModelSettings *settings, GError **error);

/* Tokens of a text; an unload waits for it. -1 with an error. */
int hearth_thread_count(HearthThread *thread, const char *text, GError **error);

/* The sentence for a question that nobody can answer. Returns false. */
bool hearth_thread_no_model(GError **error);

#endif
