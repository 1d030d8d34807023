#include "worker/reply.h"

#include <glib/gi18n.h>

#include "error_from.h"
#include "worker/flow/rate.h"

typedef struct {
    HearthStream *stream;
    const HearthReplyHost *host;
    EngSession *session;
    HearthPace *pace;
    int read;       /* tokens of the prompt, up to the chunk that is read now */
    double read_at; /* when that began */
    bool asked;     /* the session's numbers are those of this answer */
    HearthRate rate;
    double started; /* reading, seconds */
    HearthState state;
    gint64 thinks_since; /* 0 = does not think at the moment */
    double thought_s;
} Reply;

static double now(void) { return (double)g_get_monotonic_time() / G_USEC_PER_SEC; }

static HearthStats stats_of(const Reply *reply)
{
    EngStats stats = eng_session_stats(reply->session);
    double thinking = reply->thought_s;
    if (reply->thinks_since)
        thinking += (double)(g_get_monotonic_time() - reply->thinks_since) / G_USEC_PER_SEC;
    return (HearthStats){.prompt_tokens = stats.prompt_tokens,
                         .reused_tokens = stats.reused_tokens,
                         .tokens = stats.tokens,
                         .prefill_s = stats.prefill_s,
                         .decode_s = stats.decode_s,
                         .first_token_s = stats.first_token_s,
                         .thinking_s = thinking};
}

static void finish(Reply *reply, HearthState state, GError *error)
{
    HearthStats stats = reply->asked ? stats_of(reply) : (HearthStats){0};
    if (reply->asked) reply->host->answered(reply->host->data, &stats);
    hearth_stream_end(reply->stream, state, &stats, error);
}

static void fail(Reply *reply, const EngError *failure)
{
    GError *error = NULL;
    bool full = failure->code == ENG_ERR_CONTEXT;
    hearth_error_from_engine(&error, failure);
    finish(reply, full ? HEARTH_STATE_CONTEXT_FULL : HEARTH_STATE_FAILED, error);
}

/* ---- the prompt ------------------------------------------------------------------------------ */

/* request->goes_on needs no more than its last turn: the engine goes on with an assistant's. */
static bool ask(Reply *reply, const HearthRequest *request, EngError *failure)
{
    g_autofree EngMessage *messages = g_new0(EngMessage, request->turns->len + 1);
    for (guint i = 0; i < request->turns->len; i++) {
        const HearthTurn *turn = g_ptr_array_index(request->turns, i);
        messages[i] =
            (EngMessage){.role = turn->role, .content = turn->content, .thinking = turn->thinking};
    }
    return eng_session_sampler(reply->session, &request->sampling, failure) &&
           eng_session_prompt(reply->session, messages, request->turns->len, NULL, failure);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void read_on(Reply *reply, int done, int total)
{
    int reused = eng_session_stats(reply->session).reused_tokens;
    double left = -1;
    if (done > reused)
        left = (now() - reply->started) * (total - done) / (done - reused);
    else if (reply->pace->speed > 0)
        left = (total - done) / reply->pace->speed;
    reply->state = HEARTH_STATE_READING;
    hearth_stream_set_progress(reply->stream, HEARTH_STATE_READING, done, total, left);
}

static void chunk_ends(Reply *reply, int done)
{
    double time = now();
    if (reply->read_at > 0)
        hearth_pace_measure(reply->pace, done - reply->read, time - reply->read_at);
    reply->read = done;
    reply->read_at = time;
}

static void enter(Reply *reply, HearthState state)
{
    gint64 time = g_get_monotonic_time();
    if (reply->thinks_since) {
        reply->thought_s += (double)(time - reply->thinks_since) / G_USEC_PER_SEC;
        reply->thinks_since = 0;
    }
    if (state == HEARTH_STATE_THINKING) reply->thinks_since = time;
    reply->state = state;
}

static void tell(const Reply *reply, double rate)
{
    EngStats stats = eng_session_stats(reply->session);
    reply->host->measured(reply->host->data, rate, stats.used, stats.context);
}

static void write_on(Reply *reply, const EngStep *step)
{
    bool thinks = step->part == ENG_PART_THINKING;
    HearthState state = thinks ? HEARTH_STATE_THINKING : HEARTH_STATE_ANSWERING;
    /* The first token may still turn out to be the start of a tag. */
    bool undecided = !thinks && step->len == 0 && reply->state == HEARTH_STATE_READING;
    if (!undecided && state != reply->state) enter(reply, state);
    HearthStats stats = stats_of(reply);
    hearth_stream_add(reply->stream, reply->state, thinks, step->text, step->len, &stats);
    if (hearth_rate_add(&reply->rate, now(), stats.tokens))
        tell(reply, hearth_rate_get(&reply->rate));
}

static void end(Reply *reply, EngStopReason reason)
{
    HearthState state = HEARTH_STATE_DONE;
    GError *error = NULL;
    switch (reason) {
    case ENG_STOP_END: break;
    case ENG_STOP_LENGTH: state = HEARTH_STATE_LENGTH; break;
    case ENG_STOP_CONTEXT:
        state = HEARTH_STATE_CONTEXT_FULL;
        hearth_error(&error, HEARTH_ERROR_REFUSED,
                     _("The context of %d tokens is full: choose a larger context or start a new "
                       "conversation."),
                     eng_session_stats(reply->session).context);
        break;
    }
    finish(reply, state, error);
}

/* Returns whether to go on. */
static bool step_once(Reply *reply)
{
    EngStep step;
    EngError failure = {0};
    if (!hearth_stream_is_wanted(reply->stream) || reply->host->interrupted(reply->host->data)) {
        finish(reply, HEARTH_STATE_STOPPED, NULL);
        return false;
    }
    eng_session_pace(reply->session, reply->pace->chunk, reply->host->flag);
    if (!eng_step(&reply->session, 1, &step, &failure)) {
        fail(reply, &failure);
        return false;
    }
    switch (step.kind) {
    case ENG_PREFILL:
        if (!step.unfinished) chunk_ends(reply, step.done);
        read_on(reply, step.done, step.total);
        tell(reply,
             0); /* a GPU that failed makes the conversation be read anew, which takes long */
        return true;
    case ENG_TEXT: write_on(reply, &step); return true;
    case ENG_DONE: end(reply, step.reason); return false;
    case ENG_IDLE: break;
    }
    finish(reply, HEARTH_STATE_DONE, NULL);
    return false;
}

void hearth_reply_run(HearthStream *stream, const HearthRequest *request, HearthSessions *sessions,
                      const HearthReplyHost *host)
{
    Reply reply = {.stream = stream, .host = host, .pace = &sessions->pace, .started = now()};
    EngSessionSettings settings = {request->context, request->kv};
    EngError failure = {0};
    reply.session = hearth_sessions_get(sessions, request->conversation, &settings, &failure);
    if (!reply.session) {
        GError *error = NULL;
        hearth_error_from_engine(&error, &failure);
        hearth_stream_end(stream, HEARTH_STATE_FAILED, NULL, error);
        host->measured(host->data, 0, 0, 0); /* older sessions may have gone */
        return;
    }
    tell(&reply, 0);
    hearth_stream_set_flag(stream, host->flag);
    if (ask(&reply, request, &failure)) {
        reply.started = now();
        reply.asked = true;
        EngStats stats = eng_session_stats(reply.session);
        chunk_ends(&reply, stats.reused_tokens);
        read_on(&reply, stats.reused_tokens, stats.prompt_tokens);
        while (step_once(&reply)) continue;
    } else {
        fail(&reply, &failure);
    }
    hearth_stream_set_flag(stream, NULL);
    eng_session_pace(reply.session, 0, NULL);
    tell(&reply, 0);
}
