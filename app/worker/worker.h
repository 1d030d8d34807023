/* The thread that owns the model and its sessions.
 *
 * All functions are for the main thread; none waits. Loading and answering are jobs in one queue.
 * There is one model at a time; a few sessions (KV caches) of it are kept, the least recently used
 * one goes first, so that going back to a conversation computes only what is new. An answer asked
 * for while the model is loading waits for it (HEARTH_STATE_LOADING). Loading another model lets
 * the running answer stop first. A model being freed really leaves memory: mapping, sessions and
 * pool are gone before the state says so. */
#ifndef HEARTH_WORKER_H
#define HEARTH_WORKER_H

#include "worker/job.h"
#include "worker/model_info.h"

#define HEARTH_TYPE_WORKER (hearth_worker_get_type())
G_DECLARE_FINAL_TYPE(HearthWorker, hearth_worker, HEARTH, WORKER, GObject)

typedef enum {
    HEARTH_MODEL_NONE, /* never loaded, unloaded or cancelled */
    HEARTH_MODEL_LOADING,
    HEARTH_MODEL_READY,
    HEARTH_MODEL_FAILED /* `error` says why; no model is loaded */
} HearthModelState;

/* Properties, all read-only and notified on the main thread:
 *   "state"     int     HearthModelState
 *   "info"      boxed   HearthModelInfo of the loaded model, or NULL
 *   "path"      string  of the model that is loaded or loading; "" = built in
 *   "loaded"    uint64  bytes brought into memory so far;   "total" uint64
 *   "speed"     double  bytes per second of the loading
 *   "error"     string  one sentence, or NULL; in READY: why the model asked for last is not loaded
 *   "busy"      boolean an answer is being computed
 *   "rate"      double  tokens per second now: decoding over the last second, else 0
 *   "context-used", "context-size"  int  tokens of the session used last; 0 = none */

HearthWorker *hearth_worker_new(void);

/* Stops what runs (its text so far stays in the job), frees everything, joins the thread. Blocks
 * for at most one token or prefill chunk. Idempotent. */
void hearth_worker_close(HearthWorker *worker);

/* A model will be loaded in a moment: until hearth_worker_load() or _unload(), which must follow,
 * the state is LOADING and answers wait. */
void hearth_worker_expect(HearthWorker *worker, const char *path);

/* `path` NULL or "": the built-in model. `settings` NULL = all automatic. When what they ask of the
 * GPU cannot be, loading fails. The file is looked at first: when that tells that it cannot be
 * loaded, a model that is there stays, READY with its own path again and an "error". */
void hearth_worker_load(HearthWorker *worker, const char *path,
                        const HearthModelSettings *settings);
void hearth_worker_unload(HearthWorker *worker); /* also cancels a load */

HearthModelState hearth_worker_get_state(HearthWorker *worker);
HearthModelInfo *hearth_worker_get_info(HearthWorker *worker); /* borrowed, NULL = no model */
const char *hearth_worker_get_error(HearthWorker *worker);
/* Of the last answer since the model was loaded; zeros = none. News of it come with "busy". */
HearthStats hearth_worker_get_last_stats(HearthWorker *worker);

/* Takes the request. The job's first state is QUEUED or LOADING; with no model at all it fails
 * with the sentence that says so. */
struct HearthRequest;
HearthJob *hearth_worker_submit(HearthWorker *worker, struct HearthRequest *request);

/* How many tokens a text is for the loaded model; -1 with an error when none is loaded. Runs beside
 * the answer that is being written, on a thread of GLib's pool; the model stays alive for it. */
void hearth_worker_count_async(HearthWorker *worker, const char *text, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data);
int hearth_worker_count_finish(HearthWorker *worker, GAsyncResult *result, GError **error);

/* Where a model (as above) would lie with these settings, and how fast it should be; nothing is
 * loaded. NULL with the error that loading would fail with: HEARTH_ERROR_USAGE for what is written
 * wrongly, mostly in the rules. Works on a thread of GLib's pool; a loaded model stays for it. */
void hearth_worker_plan_async(HearthWorker *worker, const char *path,
                              const HearthModelSettings *settings, GCancellable *cancellable,
                              GAsyncReadyCallback done, void *data);
HearthPlan *hearth_worker_plan_finish(HearthWorker *worker, GAsyncResult *result, GError **error);

#endif
