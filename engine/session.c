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

/* ---- computing ------------------------------------------------------------------------------- */

/* Adds `n` waiting tokens of a session to the model's batch; `all` = logits of each, not of the
 * last alone. The caller holds the compute lock. */
static void batch_add(EngSession *s, int n, bool last, bool all)
{
    EngBatch *b = &s->model->batch;
    for (int i = 0; i < n; i++, b->n++) {
        ((int32_t *)b->tokens)[b->n] = s->tokens[s->n_past + i];
        ((int32_t *)b->positions)[b->n] = s->n_past + i;
        ((EngKv **)b->kvs)[b->n] = &s->kv;
        if (all || (last && i == n - 1)) ((int32_t *)b->out)[b->n_out++] = b->n;
    }
}

static void batch_run(EngModel *m)
{
    m->backend->run(m->backend, 0, (int)m->graph.ops.n, &m->batch);
}

static bool is_stopped(EngSession *const *sessions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sessions[i]->stop && __atomic_load_n(sessions[i]->stop, __ATOMIC_RELAXED)) return true;
    return false;
}

/* The same in pieces of about a layer; false when it was stopped between them. A single token is
 * not worth the pool's waking up once more. */
static bool batch_run_unless_stopped(EngModel *m, EngSession *const *sessions, size_t n)
{
    enum { PIECE = 16, SMALL = 8 };
    int ops = (int)m->graph.ops.n, piece = m->batch.n > SMALL ? PIECE : ops;
    for (int first = 0, end; first < ops; first = end) {
        if (piece < ops && is_stopped(sessions, n)) return false;
        end = eng_graph_cut(&m->graph, first + piece);
        m->backend->run(m->backend, first, end - first, &m->batch);
    }
    return true;
}

static bool check_logits(const float *logits, int n, EngError *err)
{
    for (int i = 0; i < n; i++)
        if (!isfinite(logits[i]))
            return eng_fail(
                err, ENG_ERR_REFUSED,
                "The model computed something that is not a number: its file is damaged. "
                "Download it again.");
    return true;
}

static bool take_logits(EngSession *s, int out_row, EngError *err)
{
    int n = s->model->h.n_vocab;
    const float *row = s->model->backend->logits(s->model->backend) + (size_t)out_row * (size_t)n;
    if (!check_logits(row, n, err)) return false;
    memcpy(s->logits, row, (size_t)n * sizeof *row);
    s->has_logits = true;
    return true;
}

static int waiting(const EngSession *s) { return s->n_tokens - s->n_past; }

enum { MOST_SESSIONS = 64 }; /* of a step */

/* What one session gets of a batch. */
typedef struct {
    int n; /* tokens computed, of rows from `row` on */
    int row;
    int out_row; /* -1 = its prompt is not at its end yet */
} Share;

/* Tokens being written come first (many, when a lost device held what came before them), then
 * prompts share what room is left. */
static void share_batch(EngSession *const *sessions, size_t n, int kv, Share *shares)
{
    EngBackend *backend = sessions[0]->model->backend;
    int room = backend->max_tokens, outs = backend->max_out;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            EngSession *s = sessions[i];
            bool mine = s->next_segment >= s->n_segments && waiting(s) > 0 &&
                        (kv < 0 || (int)s->kv.type == kv) &&
                        s->state == (pass == 0 ? ENG_WRITING : ENG_READING);
            if (pass == 0) shares[i] = (Share){.out_row = -1};
            if (!mine || room == 0 || outs == 0) continue;
            Share *share = &shares[i];
            share->n = ENG_MIN(waiting(s), room);
            if (waiting(s) > 1 && s->chunk > 0) share->n = ENG_MIN(share->n, s->chunk);
            room -= share->n;
            share->row = backend->max_tokens - room - share->n;
            bool last = share->n == waiting(s);
            if (last) {
                share->out_row = backend->max_out - outs;
                outs--;
            }
            batch_add(s, share->n, last, false);
        }
}

/* Of n rows of the last run. */
static void count_experts(EngSession *s, int row, int n)
{
    EngModel *m = s->model;
    int most = (int)ENG_LEN(m->backend->cached);
    for (int i = row; i < ENG_MIN(row + n, most); i++) {
        uint64_t hits = (uint64_t)m->backend->cached[i].hits,
                 misses = (uint64_t)m->backend->cached[i].misses;
        s->stats.expert_hits += hits, s->stats.expert_misses += misses;
        __atomic_fetch_add(&m->expert_hits, hits, __ATOMIC_RELAXED);
        __atomic_fetch_add(&m->expert_misses, misses, __ATOMIC_RELAXED);
    }
}

static bool take_shares(EngSession *const *sessions, size_t n, const Share *shares, double seconds,
                        EngError *err)
{
    for (size_t i = 0; i < n; i++) {
        EngSession *s = sessions[i];
        if (shares[i].n == 0) continue;
        if (shares[i].out_row >= 0 && !take_logits(s, shares[i].out_row, err)) return false;
        s->n_past += shares[i].n;
        if (s->state == ENG_READING) s->stats.streamed[s->model->backend->streaming] += shares[i].n;
        count_experts(s, shares[i].row, shares[i].n);
        if (s->state == ENG_READING)
            s->stats.prefill_s += seconds;
        else
            s->stats.decode_s += seconds;
    }
    return true;
}

/* One batch, of the sessions whose caches are of a type; kv -1: of all. */
static bool compute_batch(EngSession *const *sessions, size_t n, int kv, Share *shares,
                          EngError *err)
{
    EngModel *m = sessions[0]->model;
    m->batch.n = m->batch.n_out = 0;
    share_batch(sessions, n, kv, shares);
    if (m->batch.n == 0) return true;
    double start = eng_sys_now();
    if (batch_run_unless_stopped(m, sessions, n) && eng_model_computed(m))
        return eng_gguf_check(m->gguf, err) &&
               take_shares(sessions, n, shares, eng_sys_now() - start, err);
    for (size_t i = 0; i < n; i++) shares[i] = (Share){.out_row = -1};
    return true;
}

/* A device's kernels take all caches to be of one type. */
static bool compute(EngSession *const *sessions, size_t n, Share *shares, EngError *err)
{
    EngModel *m = sessions[0]->model;
    bool ok = true, apart = m->n_devices > 0;
    for (size_t i = 0; i < n; i++) shares[i] = (Share){.out_row = -1};
    eng_lock_take(m->compute);
    for (int kv = apart ? 0 : -1; ok && kv < (apart ? ENG_KV_TYPES : 0); kv++) {
        Share some[MOST_SESSIONS];
        ok = compute_batch(sessions, n, kv, some, err);
        for (size_t i = 0; i < n; i++)
            if (!apart || (int)sessions[i]->kv.type == kv) shares[i] = some[i];
    }
    eng_lock_give(m->compute);
    return ok;
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
    if (!eng_sampler_next(s->sampler, s->logits, s->tokens, s->n_tokens, &token, err)) return false;
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

/* What one session has to say after this step. */
static bool say(EngSession *s, const Share *share, EngStep *ret, EngError *err)
{
    *ret = (EngStep){.kind = ENG_IDLE};
    if (s->state == ENG_READING && share->n > 0) {
        *ret = (EngStep){.kind = ENG_PREFILL, .done = s->n_past, .total = s->n_tokens};
        if (waiting(s) == 0) s->state = ENG_WRITING;
        return true;
    }
    if (s->state == ENG_READING) { /* stopped, or another session's prompt took the whole batch */
        *ret = (EngStep){.kind = ENG_PREFILL, .done = s->n_past, .total = s->n_tokens};
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
    Share shares[MOST_SESSIONS];
    EngStep steps[MOST_SESSIONS];
    if (n == 0 || n > MOST_SESSIONS)
        return eng_fail(err, ENG_ERR_USAGE, "A step takes 1 to %d sessions, not %zu.",
                        MOST_SESSIONS, n);
    for (size_t i = 1; i < n; i++)
        if (sessions[i]->model != sessions[0]->model)
            return eng_fail(err, ENG_ERR_USAGE, "Sessions of one step must share a model.");
    for (size_t i = 0; i < n; i++)
        if (waits(sessions[i]) && !eng_session_settle(sessions[i], err)) return false;
    eng_guard_begin();
    bool ok = compute(sessions, n, shares, err);
    for (size_t i = 0; ok && i < n; i++) ok = say(sessions[i], &shares[i], &steps[i], err);
    eng_guard_end();
    if (!ok) return false;
    memcpy(ret_steps, steps, n * sizeof *steps);
    return true;
}

/* ---- timeline -------------------------------------------------------------------------------- */

/* n_past stays where it was when the device is lost in the middle of it. */
static bool eval_piece(EngSession *s, int n, bool last, float *ret_logits, EngError *err)
{
    EngModel *m = s->model;
    eng_lock_take(m->compute);
    m->batch.n = m->batch.n_out = 0;
    batch_add(s, n, last, ret_logits != NULL);
    batch_run(m);
    bool there = eng_model_computed(m), ok = eng_gguf_check(m->gguf, err);
    if (there) count_experts(s, 0, n);
    size_t vocab = (size_t)m->h.n_vocab;
    for (int i = 0; ok && there && i < m->batch.n_out; i++) {
        const float *row = m->backend->logits(m->backend) + (size_t)i * vocab;
        ok = check_logits(row, m->h.n_vocab, err);
        if (ok && ret_logits) memcpy(ret_logits + (size_t)i * vocab, row, vocab * sizeof *row);
        if (ok && i == m->batch.n_out - 1 && last) ok = take_logits(s, i, err);
    }
    eng_lock_give(m->compute);
    if (ok && there) s->n_past += n;
    if (ok && there && n > 1) s->stats.streamed[m->backend->streaming] += n;
    return ok;
}

/* Computes again what a lost device held. */
static bool catch_up(EngSession *s, EngError *err)
{
    int held = s->n_past;
    if (!eng_session_settle(s, err)) return false;
    while (s->n_past < held) {
        int part = ENG_MIN(s->model->backend->max_tokens, held - s->n_past);
        if (!eval_piece(s, part, false, NULL, err)) return false;
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
    session->n_tokens = session->n_past; /* tokens that never reached the cache are forgotten */
    if (n) memcpy(session->tokens + session->n_past, tokens, n * sizeof *tokens);
    size_t most = (size_t)(ret_logits ? m->backend->max_out : m->backend->max_tokens);
    for (size_t at = 0; at < n;) {
        size_t part = ENG_MIN(most, n - at);
        float *logits = ret_logits ? ret_logits + at * (size_t)m->h.n_vocab : NULL;
        int before = session->n_past;
        if (!catch_up(session, err)) return false;
        session->n_tokens = before + (int)part;
        if (!eval_piece(session, (int)part, at + part == n, logits, err)) return false;
        if (session->n_past > before) at += part;
    }
    return true;
}

const float *eng_session_logits(const EngSession *session)
{
    return session->has_logits ? session->logits : NULL;
}

void eng_session_rewind(EngSession *session, size_t n)
{
    if (n < (size_t)session->n_past) session->n_past = (int)n;
    session->n_tokens = session->n_past;
    session->has_logits = false;
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
