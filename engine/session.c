/* A session computes and writes: tokens → KV → exec → sample → text. session.h has its shape. */
#include "session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"

EngSessionSettings eng_session_defaults(void) { return (EngSessionSettings){0, ENG_KV_F16}; }

bool eng_kv_type(const char *name, EngKvType *ret_type)
{
    static const char *const names[ENG_KV_TYPES] = {"f16", "f32", "q8_0"};
    for (int i = 0; i < ENG_KV_TYPES; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret_type = (EngKvType)i;
            return true;
        }
    return false;
}

/* ---- making ---------------------------------------------------------------------------------- */

static size_t longest_piece(const EngTokenizer *t)
{
    size_t most = 16;
    for (int i = 0; i < eng_tokenizer_size(t); i++) {
        const char *bytes;
        most = ENG_MAX(most, eng_tokenizer_piece(t, i, true, false, &bytes));
    }
    return most;
}

/* All text buffers are sized for the vocabulary's longest token, so that a step allocates nothing.
 */
static void make_text_buffers(EngSession *s)
{
    size_t bytes = 3 * (longest_piece(s->model->tokenizer) + 8) + sizeof s->reply.held + 1;
    s->utf8_out = eng_alloc0(bytes);
    s->text = eng_alloc0(2 * bytes);
    s->emit = eng_alloc0(2 * bytes);
    s->segments =
        eng_alloc0((bytes / (ENG_REPLY_PUSH - 3) + 3) * ENG_REPLY_SEGMENTS * sizeof *s->segments);
}

/* DRY starts afresh at these; a vocabulary without one of them goes without it. */
static void find_breakers(EngSession *s)
{
    static const char *const marks[] = {"\n", ":", "\"", "*"};
    for (size_t i = 0; i < ENG_LEN(marks); i++) {
        int32_t *tokens;
        size_t n;
        EngTokenizeOptions plain = {false, false};
        if (!eng_tokenizer_encode(s->model->tokenizer, marks[i], 1, plain, &tokens, &n, NULL))
            continue;
        if (n > 0) s->breakers[s->n_breakers++] = tokens[n - 1];
        free(tokens);
    }
}

EngSession *eng_session_new(EngModel *model, const EngSessionSettings *settings, EngError *err)
{
    EngSessionSettings set = settings ? *settings : eng_session_defaults();
    if (!model->backend) {
        eng_fail(err, ENG_ERR_USAGE, "This model was opened for its vocabulary alone.");
        return NULL;
    }
    if (set.context < 0 || set.context > 1 << 24) {
        eng_fail(err, ENG_ERR_USAGE, "A context of %d tokens cannot be used: choose 1 to %d.",
                 set.context, 1 << 24);
        return NULL;
    }
    int trained = model->h.context_trained;
    if (set.context == 0) set.context = trained > 0 ? ENG_MIN(trained, 4096) : 4096;
    EngSession *s = eng_alloc0(sizeof *s);
    s->model = model;
    s->sampling = eng_sampling_defaults();
    if (!eng_session_kv_new(s, set.kv, set.context, err)) {
        free(s);
        return NULL;
    }
    s->tokens = eng_alloc0((size_t)set.context * sizeof *s->tokens);
    s->logits = eng_alloc0((size_t)model->h.n_vocab * sizeof *s->logits);
    s->stats = (EngStats){.context = set.context, .kv_bytes = eng_session_kv_bytes(s)};
    if (model->tokenizer) {
        make_text_buffers(s);
        find_breakers(s);
    }
    return s;
}

void eng_session_free(EngSession *session)
{
    if (!session) return;
    eng_session_forget(session);
    eng_session_kv_free(session);
    eng_sampler_free(session->sampler);
    free(session->tokens);
    free(session->logits);
    free(session->utf8_out);
    free(session->text);
    free(session->emit);
    free(session->segments);
    free(session);
}

bool eng_session_sampler(EngSession *session, const EngSampling *sampling, EngError *err)
{
    if (!eng_sampling_check(sampling, err)) return false;
    session->sampling = *sampling;
    eng_sampler_free(session->sampler);
    session->sampler = NULL;
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Segments that the splitter wrote behind those that are there, their text behind theirs. */
static void keep_segments(EngSession *s, int n)
{
    for (int i = 0; i < n; i++) s->n_text += s->segments[s->n_segments++].len;
}

void eng_session_queue_text(EngSession *s, size_t len)
{
    for (size_t at = 0, n; at < len; at += n) {
        n = ENG_MIN(ENG_REPLY_PUSH, len - at);
        while (at + n < len && ((unsigned char)s->utf8_out[at + n] & 0xc0) == 0x80) n--;
        keep_segments(s, eng_reply_push(&s->reply, s->utf8_out + at, n, s->text + s->n_text,
                                        s->segments + s->n_segments));
    }
}

static void end(EngSession *s, EngStopReason reason)
{
    s->state = ENG_ENDED;
    s->reason = reason;
    eng_session_queue_text(s, eng_utf8_stream_flush(&s->utf8, s->utf8_out));
    keep_segments(s, eng_reply_flush(&s->reply, s->text + s->n_text, s->segments + s->n_segments));
}

static bool draw(EngSession *s, EngError *err)
{
    const EngTokenizer *t = s->model->tokenizer;
    int32_t token;
    if (s->has_tops ? !eng_sampler_next_of_few(s->sampler, s->tops.logits, s->tops.tokens, ENG_TOPS,
                                               &token, err)
                    : !eng_sampler_next(s->sampler, s->logits, s->tokens, s->n_tokens, &token, err))
        return false;
    if (s->stats.tokens == 0) s->stats.first_token_s = eng_sys_now() - s->asked_at;
    s->n_segments = s->next_segment = 0;
    s->n_text = 0;
    if (eng_tokenizer_is_end(t, token)) {
        end(s, ENG_STOP_END);
        return true;
    }
    s->stats.tokens++;
    const char *bytes;
    /* Control tokens keep their text here: <think> is one in many vocabularies. */
    size_t n = eng_tokenizer_piece(t, token, true, false, &bytes);
    eng_session_queue_text(s, eng_utf8_stream_push(&s->utf8, bytes, n, s->utf8_out));
    if (s->n_tokens < s->kv.context) s->tokens[s->n_tokens++] = token;
    if (s->n_tokens >= s->kv.context)
        end(s, ENG_STOP_CONTEXT);
    else if (s->sampling.max_tokens > 0 && s->stats.tokens >= s->sampling.max_tokens)
        end(s, ENG_STOP_LENGTH);
    return true;
}

static int waiting(const EngSession *s) { return s->n_tokens - s->n_past; }

/* What one session has to say after this step. */
static bool say(EngSession *s, const EngShare *share, EngStep *ret, EngError *err)
{
    *ret = (EngStep){.kind = ENG_IDLE};
    if (s->state == ENG_READING && share->n > 0) {
        *ret = (EngStep){.kind = ENG_PREFILL, .done = s->n_past, .total = s->n_tokens};
        if (waiting(s) == 0) s->state = ENG_WRITING;
        return true;
    }
    if (s->state == ENG_READING) { /* left, stopped, or another session's prompt took the batch */
        int parts = s->goes_on ? s->by_parts : 0;
        *ret = (EngStep){.kind = ENG_PREFILL,
                         .done = s->n_past + parts,
                         .total = s->n_tokens,
                         .unfinished = s->goes_on};
        return true;
    }
    bool queued = s->next_segment < s->n_segments;
    if (s->state == ENG_WRITING && !queued && waiting(s) == 0) {
        if (!draw(s, err)) return false;
        queued = s->next_segment < s->n_segments;
    }
    if (queued) {
        const EngReplySegment *seg = &s->segments[s->next_segment++];
        memcpy(s->emit, seg->text, seg->len);
        s->emit[seg->len] = 0;
        *ret = (EngStep){.kind = ENG_TEXT, .part = seg->part, .text = s->emit, .len = seg->len};
    } else if (s->state == ENG_WRITING) {
        s->emit[0] = 0;
        *ret = (EngStep){.kind = ENG_TEXT, .part = s->reply.part, .text = s->emit};
    } else if (s->state == ENG_ENDED) {
        *ret = (EngStep){.kind = ENG_DONE, .reason = s->reason};
        s->state = ENG_AT_REST;
    }
    return true;
}

/* For something to be computed. */
static bool waits(const EngSession *s)
{
    return s->state == ENG_READING || s->state == ENG_WRITING;
}

void eng_session_pace(EngSession *session, int chunk, const int *stop)
{
    session->chunk = chunk;
    session->stop = stop;
}

bool eng_step(EngSession *const *sessions, size_t n, EngStep *ret_steps, EngError *err)
{
    EngShare shares[ENG_STEP_SESSIONS];
    EngStep steps[ENG_STEP_SESSIONS];
    if (n == 0 || n > ENG_STEP_SESSIONS)
        return eng_fail(err, ENG_ERR_USAGE, "A step takes 1 to %d sessions, not %zu.",
                        ENG_STEP_SESSIONS, n);
    for (size_t i = 1; i < n; i++)
        if (sessions[i]->model != sessions[0]->model)
            return eng_fail(err, ENG_ERR_USAGE, "Sessions of one step must share a model.");
    for (size_t i = 0; i < n; i++)
        if (waits(sessions[i]) && !eng_session_settle(sessions[i], err)) return false;
    eng_guard_begin();
    bool ok = eng_session_compute(sessions, n, shares, err);
    for (size_t i = 0; ok && i < n; i++) ok = say(sessions[i], &shares[i], &steps[i], err);
    eng_guard_end();
    if (!ok) return false;
    memcpy(ret_steps, steps, n * sizeof *steps);
    return true;
}

/* ---- timeline -------------------------------------------------------------------------------- */

/* Computes again what a lost device held. */
static bool catch_up(EngSession *s, EngError *err)
{
    int held = s->n_past;
    if (!eng_session_settle(s, err)) return false;
    while (s->n_past < held) {
        int part = ENG_MIN(s->model->backend->max_tokens, held - s->n_past);
        if (!eng_session_compute_next(s, part, false, NULL, err)) return false;
    }
    return true;
}

static bool fits(const EngSession *session, size_t n, EngError *err)
{
    if (n <= (size_t)(session->kv.context - session->n_past)) return true;
    return eng_fail(err, ENG_ERR_CONTEXT,
                    "%zu tokens do not fit behind the %d that the context of %d holds: choose a "
                    "larger context.",
                    n, session->n_past, session->kv.context);
}

bool eng_session_pretend(EngSession *session, size_t n, EngError *err)
{
    if (!fits(session, n, err)) return false;
    eng_session_rewind(session, (size_t)session->n_past);
    if (!catch_up(session, err)) return false;
    memset(session->tokens + session->n_past, 0, n * sizeof *session->tokens);
    while (!eng_session_pretend_kv(session, session->n_past, (int)n))
        if (!catch_up(session, err)) return false;
    session->n_past = session->n_tokens += (int)n;
    return true;
}

bool eng_session_eval(EngSession *session, const int32_t *tokens, size_t n, float *ret_logits,
                      EngError *err)
{
    EngModel *m = session->model;
    if (!fits(session, n, err)) return false;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= m->h.n_vocab)
            return eng_fail(err, ENG_ERR_REFUSED,
                            "Token %d is not in this vocabulary: its tokens are 0 to %d.",
                            tokens[i], m->h.n_vocab - 1);
    session->state = ENG_AT_REST;
    session->goes_on = false;
    session->n_tokens = session->n_past; /* tokens that never reached the cache are forgotten */
    if (n) memcpy(session->tokens + session->n_past, tokens, n * sizeof *tokens);
    size_t most = (size_t)(ret_logits ? m->backend->max_out : m->backend->max_tokens);
    for (size_t at = 0; at < n;) {
        size_t part = ENG_MIN(most, n - at);
        float *logits = ret_logits ? ret_logits + at * (size_t)m->h.n_vocab : NULL;
        int before = session->n_past;
        if (!catch_up(session, err)) return false;
        session->n_tokens = before + (int)part;
        if (!eng_session_compute_next(session, (int)part, at + part == n, logits, err))
            return false;
        if (session->n_past > before) at += part;
    }
    return true;
}

/* Where the largest alone came back the last token is computed once more. */
static bool fetch_logits(EngSession *s)
{
    EngError err = {0};
    int held = s->n_past, waits = s->n_tokens;
    bool ok = held > 0;
    if (ok) s->n_past = held - 1;
    while (ok && s->n_past < held) {
        ok = catch_up(s, &err);
        s->n_tokens = s->n_past + 1;
        ok = ok && eng_session_compute_next(s, 1, true, NULL, &err);
    }
    s->n_tokens = waits;
    return ok;
}

const float *eng_session_logits(const EngSession *session)
{
    EngSession *s = (EngSession *)session;
    if (!s->has_logits && (!s->has_tops || !fetch_logits(s))) return NULL;
    return s->logits;
}

void eng_session_rewind(EngSession *session, size_t n)
{
    if (n < (size_t)session->n_past) session->n_past = (int)n;
    session->n_tokens = session->n_past;
    session->has_logits = session->has_tops = session->goes_on = false;
    session->state = ENG_AT_REST;
    session->n_segments = session->next_segment = 0;
}

EngStats eng_session_stats(const EngSession *session)
{
    EngStats stats = session->stats;
    stats.used = session->n_past;
    stats.kv_bytes = eng_session_kv_bytes(session);
    const EngModel *m = session->model;
    stats.model_expert_hits = __atomic_load_n(&m->expert_hits, __ATOMIC_RELAXED);
    stats.model_expert_misses = __atomic_load_n(&m->expert_misses, __ATOMIC_RELAXED);
    for (int d = 0; d < ENG_MAX_GPUS; d++)
        if (!session->kv.far_is_near[d]) stats.kv_vram_bytes += session->kv.far_bytes[d];
    return stats;
}
