/* One answer, on the worker thread: request → session → steps → stream, until it ends, is stopped
 * or something more important is wanted. */
#ifndef HEARTH_WORKER_REPLY_H
#define HEARTH_WORKER_REPLY_H

#include "worker/request.h"
#include "worker/sessions.h"
#include "worker/flow/stream.h"

/* Who runs it; `data` goes to all functions. */
typedef struct {
    int *flag;                       /* not 0 = leave a step off, if it can be; atomic */
    bool (*interrupted)(void *data); /* stop at the next step */
    /* Five times a second while tokens come, and at the end with rate 0. */
    void (*measured)(void *data, double rate, int context_used, int context_size);
    void (*answered)(void *data, const HearthStats *stats); /* at its end, however it came */
    void *data;
} HearthReplyHost;

void hearth_reply_run(HearthStream *stream, const HearthRequest *request, HearthSessions *sessions,
                      const HearthReplyHost *host);

#endif
