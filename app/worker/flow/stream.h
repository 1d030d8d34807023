/* The worker thread's end of a job: what it writes into, and what HearthJob reads on the main
 * thread. Counted; a lock inside. Once ended it takes nothing more, so that whoever ends it first
 * (a person's stop, the engine, the end of the program) has the last word. */
#ifndef HEARTH_WORKER_FLOW_STREAM_H
#define HEARTH_WORKER_FLOW_STREAM_H

#include <glib.h>

#include "state.h"
#include "worker/flow/wake.h"

typedef struct HearthStream HearthStream;

/* All but the text, which is taken apart. */
typedef struct {
    HearthState state;
    gint64 done, total;
    double seconds_left; /* < 0 = not known */
    HearthStats stats;
    char *model; /* "" until an answer has begun */
    GError *error;
} HearthNews;

void hearth_news_clear(HearthNews *news);

/* Takes a reference to `wake`, which is rung whenever there is something new. */
HearthStream *hearth_stream_new(HearthWake *wake, HearthState state);
HearthStream *hearth_stream_ref(HearthStream *stream);
void hearth_stream_unref(HearthStream *stream);

/* ---- worker thread --------------------------------------------------------------------------- */

bool hearth_stream_is_wanted(HearthStream *stream); /* neither stopped nor ended */
/* A stop puts a 1 there, atomically (at once when it came already), until NULL is set. */
void hearth_stream_set_flag(HearthStream *stream, int *flag);
void hearth_stream_set_model(HearthStream *stream, const char *name);
void hearth_stream_set_state(HearthStream *stream, HearthState state);
void hearth_stream_set_progress(HearthStream *stream, HearthState state, gint64 done, gint64 total,
                                double seconds_left);
void hearth_stream_add(HearthStream *stream, HearthState state, bool thinking, const char *text,
                       size_t len, const HearthStats *stats);

/* Takes over `error`, which may be NULL; `stats` too. */
void hearth_stream_end(HearthStream *stream, HearthState state, const HearthStats *stats,
                       GError *error);

/* ---- main thread ----------------------------------------------------------------------------- */

/* Ends what waits for its turn at once; a running answer sees it at its next step. */
void hearth_stream_stop(HearthStream *stream);
void hearth_stream_read(HearthStream *stream, HearthNews *ret_news); /* hearth_news_clear() */
/* Appends and forgets; either may be NULL. */
void hearth_stream_take(HearthStream *stream, GString *answer, GString *thinking);

#endif
