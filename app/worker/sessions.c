#include "worker/sessions.h"

#include <string.h>

void hearth_sessions_init(HearthSessions *sessions, EngModel *model)
{
    enum { MOST_OF_GPU = 512 }; /* whose chunks are told of when they are done */
    EngModelInfo info = eng_model_info(model);
    *sessions = (HearthSessions){.model = model};
    hearth_pace_init(&sessions->pace, *info.gpu ? MIN(info.batch, MOST_OF_GPU) : info.batch);
}

static void drop(HearthSessions *sessions, int i)
{
    HearthSession *all = sessions->all;
    eng_session_free(all[i].session);
    sessions->n--;
    memmove(all + i, all + i + 1, (size_t)(sessions->n - i) * sizeof *all);
}

void hearth_sessions_clear(HearthSessions *sessions)
{
    while (sessions->n > 0) drop(sessions, sessions->n - 1);
    sessions->model = NULL;
}

uint64_t hearth_sessions_bytes(const HearthSessions *sessions, uint64_t *ret_vram)
{
    uint64_t bytes = 0, vram = 0;
    for (int i = 0; i < sessions->n; i++) {
        EngStats stats = eng_session_stats(sessions->all[i].session);
        bytes += stats.kv_bytes;
        vram += stats.kv_vram_bytes;
    }
    if (ret_vram) *ret_vram = vram;
    return bytes;
}

static void to_front(HearthSessions *sessions, int i)
{
    HearthSession used = sessions->all[i];
    memmove(sessions->all + 1, sessions->all, (size_t)i * sizeof used);
    sessions->all[0] = used;
}

static int find(const HearthSessions *sessions, gint64 conversation)
{
    for (int i = 0; i < sessions->n; i++)
        if (sessions->all[i].conversation == conversation) return i;
    return -1;
}

static uint64_t dram_bytes(const HearthSessions *sessions)
{
    uint64_t vram, all = hearth_sessions_bytes(sessions, &vram);
    return all - vram;
}

/* For one more session: the least recently used go until the others keep within their share. */
static void make_room(HearthSessions *sessions)
{
    EngUsage usage = {0};
    bool known = eng_host_usage(&usage, NULL);
    while (sessions->n == HEARTH_SESSIONS_MOST ||
           (sessions->n > 0 && known && dram_bytes(sessions) > usage.dram_available / 8))
        drop(sessions, sessions->n - 1);
}

EngSession *hearth_sessions_get(HearthSessions *sessions, gint64 conversation,
                                const EngSessionSettings *settings, EngError *err)
{
    int i = find(sessions, conversation);
    if (i >= 0) {
        const EngSessionSettings *has = &sessions->all[i].settings;
        if (has->context == settings->context && has->kv == settings->kv) {
            to_front(sessions, i);
            if (conversation == 0) eng_session_rewind(sessions->all[0].session, 0);
            return sessions->all[0].session;
        }
        drop(sessions, i);
    }
    make_room(sessions);
    EngSession *session = eng_session_new(sessions->model, settings, err);
    if (!session && sessions->n > 0) { /* the memory that the others hold may be what is missing */
        while (sessions->n > 0) drop(sessions, sessions->n - 1);
        session = eng_session_new(sessions->model, settings, err);
    }
    if (!session) return NULL;
    sessions->all[sessions->n++] = (HearthSession){conversation, *settings, session};
    to_front(sessions, sessions->n - 1);
    return session;
}
