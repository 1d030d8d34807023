/* A conversation's timeline, between compute.c, which computes, session.c, which writes, and ask.c,
 * which begins an answer.
 *
 * tokens[0 … n_past) are in the KV cache, tokens[n_past … n_tokens) wait to be computed: the rest
 * of the prompt, or the token drawn last. When nothing waits, `logits` belong to the last token, or
 * its `tops` alone came back from a device, and the next step draws. */
#ifndef ENG_SESSION_H
#define ENG_SESSION_H

#include "chat/reply.h"
#include "model.h"
#include "sample/sampler.h"

typedef enum { ENG_AT_REST, ENG_READING, ENG_WRITING, ENG_ENDED } EngSessionState;

struct EngSession {
    EngModel *model;
    EngKv kv;
    int32_t *tokens; /* [context] */
    int n_tokens, n_past;
    int answer_at; /* where the tokens of the answer begin; -1 = nowhere that is known */
    float *logits; /* [n_vocab] */
    bool has_logits, has_tops;
    EngTops tops;
    EngSessionState state;
    EngStopReason reason;

    int chunk;       /* most tokens of a prompt per step */
    const int *stop; /* or NULL */
    bool goes_on;    /* a chunk was left in the middle, and nothing has changed since */
    bool hurries; /* one that was left has been lost: this prompt's others are not; under `compute`
                   */
    int by_parts; /* tokens of the chunk that was left, by what of its work is done */

    EngSampling sampling;
    EngSampler *sampler; /* NULL until the next prompt when the settings changed */
    int n_breakers;
    int32_t breakers[4];

    /* Text on its way out: segments of `text`, given out one per step. */
    EngUtf8Stream utf8;
    EngReply reply;
    char *utf8_out, *text, *emit;
    size_t n_text;
    EngReplySegment *segments; /* text pointers into `text` */
    int n_segments, next_segment;

    EngStats stats;
    double asked_at;
};

/* device.c: the cache, and the device's part of it. settle: what a device must have is there and,
 * if it was lost, the cache is in DRAM and empty: n_past is 0. pretend: see eng_session_pretend;
 * false: the device was lost. */
bool eng_session_kv_new(EngSession *session, EngKvType type, int context, EngError *err);
void eng_session_kv_free(EngSession *session);
bool eng_session_settle(EngSession *session, EngError *err);
bool eng_session_is_lost(const EngSession *session); /* its cache is a lost device's */
bool eng_session_pretend_kv(EngSession *session, int first, int n);

static inline size_t eng_session_kv_bytes(const EngSession *session)
{
    size_t bytes = session->kv.bytes;
    for (int d = 0; d < ENG_MAX_GPUS; d++) bytes += session->kv.far_bytes[d];
    return bytes;
}

enum { ENG_STEP_SESSIONS = 64 }; /* at most */

/* compute.c: one batch for a step. */
bool eng_session_compute(EngSession *const *sessions, size_t n, EngShare *shares, EngError *err);
/* Of one session n tokens that wait; ret_logits: of each, [n][n_vocab], or NULL: when it is the
 * last piece of them, of the last token. n_past stays where it was when the device is lost in the
 * middle of it. */
bool eng_session_compute_next(EngSession *session, int n, bool last, float *ret_logits,
                              EngError *err);
/* Nothing of it is to be gone on with. */
void eng_session_forget(EngSession *session);

/* Splits text of the answer into segments, behind those that wait to be given out. */
void eng_session_queue_text(EngSession *session, size_t len);

#endif
