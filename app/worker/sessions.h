/* The KV caches of one model: a few, the one used last in front, so that going back to a
 * conversation computes only what is new. Worker thread only.
 *
 * At most HEARTH_SESSIONS_MOST, and those beside the one in use never take more than an eighth of
 * the memory that is free. */
#ifndef HEARTH_WORKER_SESSIONS_H
#define HEARTH_WORKER_SESSIONS_H

#include <engine.h>
#include <glib.h>

#include "worker/flow/pace.h"

#define HEARTH_SESSIONS_MOST 4

typedef struct {
    gint64 conversation;
    EngSessionSettings settings; /* as asked for */
    EngSession *session;
} HearthSession;

typedef struct {
    EngModel *model;
    HearthSession all[HEARTH_SESSIONS_MOST];
    int n;
    HearthPace pace;
} HearthSessions;

void hearth_sessions_init(HearthSessions *sessions, EngModel *model);
void hearth_sessions_clear(HearthSessions *sessions);

/* The conversation's own when it has these settings, else a new one. Borrowed until the next call.
 * NULL: not even alone does it fit into memory. */
EngSession *hearth_sessions_get(HearthSessions *sessions, gint64 conversation,
                                const EngSessionSettings *settings, EngError *err);

/* *ret_vram: how many of them are in VRAM; or NULL. */
uint64_t hearth_sessions_bytes(const HearthSessions *sessions, uint64_t *ret_vram);

#endif
