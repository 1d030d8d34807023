/* What an answer is made of: handed to hearth_worker_submit. Not for ui/ (it names the engine). */
#ifndef HEARTH_WORKER_REQUEST_H
#define HEARTH_WORKER_REQUEST_H

#include <engine.h>
#include <glib.h>

typedef struct {
    char *role; /* "system", "user", "assistant" */
    char *content;
    char *thinking; /* of an assistant's turn, or NULL; the template decides whether it is shown */
} HearthTurn;

typedef struct HearthRequest {
    gint64 conversation; /* whose KV cache may be used again; 0 = nobody's */
    GPtrArray *turns;    /* of HearthTurn: the whole history, system message first */
    bool goes_on;        /* the last turn is the assistant's and is continued, not answered */
    int context;         /* tokens; 0 = the engine's choice */
    EngKvType kv;
    EngSampling sampling;
} HearthRequest;

HearthRequest *hearth_request_new(void);
void hearth_request_add(HearthRequest *request, const char *role, const char *content,
                        const char *thinking);
void hearth_request_free(HearthRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthRequest, hearth_request_free)

#endif
