/* Batches: which tokens a step computes, in pieces between which it can be stopped and left, and
 * what is taken of the results. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"
#include "session.h"

static int waiting(const EngSession *s) { return s->n_tokens - s->n_past; }

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

/* What lies in the middle of a chunk is lost. Its session does not leave the next one before it is
 * done: two that take turns would otherwise never come to an end. */
static void begin(EngModel *m)
{
    if (m->unfinished.of) m->unfinished.of->hurries = true;
    m->unfinished.of = NULL;
    m->batch.n = m->batch.n_out = 0;
    m->batch.tops = false;
    m->batch.stop = NULL;
}

static bool is_stopped(EngSession *const *sessions, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sessions[i]->stop && __atomic_load_n(sessions[i]->stop, __ATOMIC_RELAXED)) return true;
    return false;
}

enum { STOPPED = -1 };

/* From op `first` on in pieces of about a layer of 512 tokens; a single token is not worth the
 * pool's waking up once more. Returns the op that it has come to when it was left, or STOPPED. */
static int run_on(EngModel *m, EngSession *const *sessions, size_t n, int first, bool may_leave)
{
    enum { PIECE = 16, SMALL = 8, USUAL = 512 };
    int ops = (int)m->graph.ops.n, tokens = m->batch.n, piece = tokens > SMALL ? PIECE : ops;
    if (tokens > USUAL && m->n_devices == 0) piece = ENG_MAX(PIECE * USUAL / tokens, 1);
    double start = eng_sys_now();
    for (int at = first, end; at < ops; at = end) {
        if (piece < ops && is_stopped(sessions, n)) return STOPPED;
        if (may_leave && at > first && eng_sys_now() - start >= m->slice_s) return at;
        end = eng_graph_cut(&m->graph, at + piece);
        m->backend->run(m->backend, at, end - at, &m->batch);
        if (m->backend->left_off) return STOPPED;
    }
    return ops;
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
    s->has_tops = false;
    return true;
}

/* What the device brought back: all, or the largest, of which one that is no number is the first.
 */
static bool take_result(EngSession *s, int out_row, EngError *err)
{
    EngBackend *backend = s->model->backend;
    const EngTops *tops = backend->tops ? backend->tops(backend) : NULL;
    if (!tops) return take_logits(s, out_row, err);
    if (!check_logits(tops[out_row].logits, 1, err)) return false;
    s->tops = tops[out_row];
    s->has_tops = true;
    s->has_logits = false;
    return true;
}

/* Tokens being written come first (many, when a lost device held what came before them), then
 * prompts share what room is left. */
static void share_batch(EngSession *const *sessions, size_t n, int kv, EngShare *shares)
{
    EngBackend *backend = sessions[0]->model->backend;
    int room = backend->max_tokens, outs = backend->max_out;
    sessions[0]->model->batch.tops = true;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            EngSession *s = sessions[i];
            bool mine = s->next_segment >= s->n_segments && waiting(s) > 0 &&
                        (kv < 0 || (int)s->kv.type == kv) &&
                        s->state == (pass == 0 ? ENG_WRITING : ENG_READING);
            if (pass == 0) shares[i] = (EngShare){.out_row = -1};
            if (!mine || room == 0 || outs == 0) continue;
            EngShare *share = &shares[i];
            share->n = ENG_MIN(waiting(s), room);
            if (waiting(s) > 1 && s->chunk > 0) share->n = ENG_MIN(share->n, s->chunk);
            room -= share->n;
            share->row = backend->max_tokens - room - share->n;
            bool last = share->n == waiting(s);
            if (last) {
                share->out_row = backend->max_out - outs;
                outs--;
                if (!eng_sampler_needs_few(s->sampler, ENG_TOPS)) s->model->batch.tops = false;
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

static void add_seconds(EngSession *s, double seconds)
{
    if (s->state == ENG_READING)
        s->stats.prefill_s += seconds;
    else
        s->stats.decode_s += seconds;
}

static bool take_shares(EngSession *const *sessions, size_t n, const EngShare *shares,
                        double seconds, EngError *err)
{
    for (size_t i = 0; i < n; i++) {
        EngSession *s = sessions[i];
        if (shares[i].n == 0) continue;
        if (shares[i].out_row >= 0) s->hurries = false;
        if (shares[i].out_row >= 0 && !take_result(s, shares[i].out_row, err)) return false;
        s->n_past += shares[i].n;
        if (s->state == ENG_READING) s->stats.streamed[s->model->backend->streaming] += shares[i].n;
        count_experts(s, shares[i].row, shares[i].n);
        add_seconds(s, seconds);
    }
    return true;
}

/* The chunk that the last step of this session alone has left, if it is there still and the session
 * is as it was. Returns the op to go on with; 0 = there is none. */
static int take_up(EngSession *s, EngShare *share)
{
    EngModel *m = s->model;
    int op = m->unfinished.op;
    bool mine = m->unfinished.of == s, goes_on = mine && s->goes_on;
    s->goes_on = false;
    if (mine) m->unfinished.of = NULL;
    if (!goes_on) return 0;
    *share = m->unfinished.share;
    return op;
}

static void leave(EngSession *s, int op, EngShare *share)
{
    EngModel *m = s->model;
    m->unfinished = (EngUnfinished){s, op, *share};
    s->goes_on = true;
    s->by_parts = (int)((int64_t)share->n * op / (int64_t)m->graph.ops.n);
    *share = (EngShare){.out_row = -1};
}

/* One batch, of the sessions whose caches are of a type; kv -1: of all. */
static bool compute_batch(EngSession *const *sessions, size_t n, int kv, EngShare *shares,
                          EngError *err)
{
    EngSession *s = sessions[0];
    EngModel *m = s->model;
    double start = eng_sys_now();
    bool alone = n == 1 && m->n_devices == 0;
    int op = alone ? take_up(s, shares) : 0;
    if (op == 0) {
        begin(m);
        share_batch(sessions, n, kv, shares);
        if (m->batch.n == 0) return true;
    }
    m->batch.stop = alone && s->state == ENG_READING ? s->stop : NULL;
    op = run_on(m, sessions, n, op, alone && s->state == ENG_READING && !s->hurries);
    if (op == (int)m->graph.ops.n && eng_model_computed(m))
        return eng_gguf_check(m->gguf, err) &&
               take_shares(sessions, n, shares, eng_sys_now() - start, err);
    if (op > 0 && op < (int)m->graph.ops.n) {
        add_seconds(s, eng_sys_now() - start);
        leave(s, op, shares);
    }
    for (size_t i = 0; i < n; i++) shares[i] = (EngShare){.out_row = -1};
    return true;
}

/* A device's kernels take all caches to be of one type. */
bool eng_session_compute(EngSession *const *sessions, size_t n, EngShare *shares, EngError *err)
{
    EngModel *m = sessions[0]->model;
    bool ok = true, apart = m->n_devices > 0;
    for (size_t i = 0; i < n; i++) shares[i] = (EngShare){.out_row = -1};
    eng_lock_take(m->compute);
    for (int kv = apart ? 0 : -1; ok && kv < (apart ? ENG_KV_TYPES : 0); kv++) {
        EngShare some[ENG_STEP_SESSIONS];
        ok = compute_batch(sessions, n, kv, some, err);
        for (size_t i = 0; i < n; i++)
            if (!apart || (int)sessions[i]->kv.type == kv) shares[i] = some[i];
    }
    eng_lock_give(m->compute);
    return ok;
}

void eng_session_forget(EngSession *s)
{
    EngModel *m = s->model;
    eng_lock_take(m->compute);
    if (m->unfinished.of == s) m->unfinished.of = NULL;
    eng_lock_give(m->compute);
}

bool eng_session_compute_next(EngSession *s, int n, bool last, float *ret_logits, EngError *err)
{
    EngModel *m = s->model;
    eng_lock_take(m->compute);
    begin(m);
    batch_add(s, n, last, ret_logits != NULL);
    m->backend->run(m->backend, 0, (int)m->graph.ops.n, &m->batch);
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
