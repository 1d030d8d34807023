/* Probe, open, load, text: everything of engine.h that needs no session. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"
#include "model.h"
#include "plan/host.h"
#include "plan/outline.h"
#include "plan/plan.h"

bool eng_probe(EngHost *ret_host, EngError *err)
{
    EngHost host;
    EngCpuLevel level;
    if (!eng_cpu_level(&level, err) || !eng_host_probe(&host, err)) return false;
    eng_cpu_name(host.cpu_name, sizeof host.cpu_name);
    size_t at = 0;
    for (int i = 0; i <= (int)level; i++) {
        if (!eng_cpu_has((EngCpuLevel)i)) continue;
        at += (size_t)snprintf(host.isa + at, sizeof host.isa - at, "%s%s", i ? " " : "",
                               eng_cpu_level_names[i]);
    }
    const char *limit = getenv("HEARTH_CPU_MASK");
    snprintf(host.isa_limit, sizeof host.isa_limit, "%s", limit ? limit : "");
    snprintf(host.no_amx, sizeof host.no_amx, "%s", eng_cpu_amx_refused());
    host.n_gpus = eng_cuda_probe(host.gpus, host.gpu_reason);
    *ret_host = host;
    return true;
}

bool eng_host_usage(EngUsage *ret_usage, EngError *err)
{
    EngUsage u = {0};
    if (!eng_host_memory(&u.dram_total, &u.dram_available) || !eng_sys_resident(&u.process_bytes))
        return eng_fail(err, ENG_ERR_IO, "The system does not tell how much memory is in use.");
    *ret_usage = u;
    return true;
}

EngModelSettings eng_model_defaults(void) { return (EngModelSettings){.threads = 0}; }

/* ---- opening --------------------------------------------------------------------------------- */

/* Files made for measuring often have no vocabulary, or say "none" or "no_vocab". */
static bool names_tokenizer(EngGgufString model)
{
    return model.s && !(model.n == 4 && memcmp(model.s, "none", 4) == 0) &&
           !(model.n == 8 && memcmp(model.s, "no_vocab", 8) == 0);
}

static bool open_text(EngModel *m, bool required, EngError *err)
{
    EngGgufString source, name, model;
    if (!eng_gguf_string(m->gguf, "tokenizer.ggml.model", &model, err)) return false;
    if (names_tokenizer(model) || required) {
        m->tokenizer = eng_tokenizer_new(m->gguf, err);
        if (!m->tokenizer) return false;
    }
    if (!eng_gguf_string(m->gguf, "tokenizer.chat_template", &source, err) ||
        !eng_gguf_string(m->gguf, "general.name", &name, err))
        return false;
    snprintf(m->name, sizeof m->name, "%.*s", (int)ENG_MIN(name.n, sizeof m->name - 1),
             name.s ? name.s : "");
    /* A broken template spoils chatting, not the model: the error is kept for who asks for it. */
    if (source.s) m->tmpl = eng_template_new(source.s, source.n, &m->tmpl_error);
    return true;
}

static bool check_vocabulary(const EngModel *m, EngError *err)
{
    if (!m->tokenizer || eng_tokenizer_size(m->tokenizer) <= m->h.n_vocab) return true;
    return eng_fail(err, ENG_ERR_REFUSED,
                    "This GGUF file is damaged: its vocabulary has %d tokens and its token table "
                    "%d. Download it again.",
                    eng_tokenizer_size(m->tokenizer), m->h.n_vocab);
}

static bool build_graph(EngModel *m, const EngModelSettings *s, EngError *err)
{
    EngBuild build = {
        .g = &m->graph, .arena = &m->arena, .experts = s->experts, .defer = s->defer, .err = err};
    bool ok = eng_arch_build(&build, m->gguf);
    m->h = build.h;
    m->derived = build.derived;
    return ok && check_vocabulary(m, err);
}

/* The same checks over addresses alone: nothing is derived. */
static bool check_graph(EngModel *m, const EngModelSettings *s, EngError *err)
{
    EngOutline *outline = eng_outline_new(m->gguf, s->experts, s->defer, err);
    bool ok = outline != NULL;
    if (outline) m->h = outline->h;
    eng_outline_free(outline);
    return ok && check_vocabulary(m, err);
}

/* Whether the weights are to be copied out of the file; false when they should and cannot be. */
static bool wants_copy(const EngModel *m, bool asked, int n_nodes, bool *ret_copy, EngError *err)
{
    uint64_t total, available = 0, need = m->gguf->tensor_bytes;
    for (size_t i = 0; m->plan && i < m->plan->n_rows; i++) {
        const EngPlanRow *row = &m->plan->rows[i];
        bool file = row->kind != ENG_PLAN_KV && row->kind != ENG_PLAN_BUFFERS;
        if (file && row->kind != ENG_PLAN_CACHE && row->place.kind == ENG_PLACE_GPU)
            need -= ENG_MIN(need, row->bytes);
    }
    bool fits = eng_host_memory(&total, &available) && need < available / 16 * 15;
    *ret_copy = !m->rehearsal && (asked || n_nodes > 1) && fits;
    if (m->rehearsal || !asked || fits) return true;
    char size[32], room[32];
    eng_bytes_text(need, size);
    eng_bytes_text(available, room);
    return eng_fail(err, ENG_ERR_MEMORY,
                    "There is no room in DRAM to copy the model's %s to, for %s are free: leave "
                    "them mapped, or close other programs.",
                    size, room);
}

/* The threads, and what of the weights is near to which of them. */
static bool open_pool(EngModel *m, const EngModelSettings *settings, EngError *err)
{
    EngSeats seats;
    bool copy;
    if (!eng_host_seats(settings->threads, &seats, err)) return false;
    if (settings->nodes > 0) eng_seats_pretend(&seats, settings->nodes);
    m->pool = eng_pool_new(seats.n, seats.seats, err);
    memcpy(m->nodes, seats.numbers, sizeof m->nodes);
    bool ok = m->pool && wants_copy(m, settings->copy, seats.n_nodes, &copy, err);
    if (ok && (copy || seats.n_nodes > 1)) {
        m->placement = eng_placement_new(&m->graph, &seats, copy, m->device_of, err);
        ok = m->placement != NULL;
    }
    eng_seats_clear(&seats);
    return ok;
}

enum { MOST_BATCH = 16384 };

static bool open_backend(EngModel *m, const EngModelSettings *settings, EngError *err)
{
    EngCpuSettings cpu = {0};
    m->cpu_batch = ENG_USUAL_BATCH;
    if (!eng_cpu_level(&cpu.level, err) || !eng_model_place(m, settings, err) ||
        !open_pool(m, settings, err))
        return false;
    cpu.pool = m->pool;
    cpu.nodes = m->nodes;
    if (m->choice) cpu.kernels = m->choice->kernels;
    cpu.max_tokens = settings->batch ? settings->batch : m->plan ? m->plan->batch : m->cpu_batch;
    cpu.max_out = eng_cpu_max_out(cpu.max_tokens);
    m->backend = eng_cpu_new(&m->graph, &cpu, err);
    if (!m->backend) return false;
    size_t n = (size_t)cpu.max_tokens;
    m->batch = (EngBatch){.tokens = eng_alloc0(n * sizeof(int32_t)),
                          .positions = eng_alloc0(n * sizeof(int32_t)),
                          .kvs = eng_alloc0(n * sizeof(EngKv *)),
                          .out = eng_alloc0(n * sizeof(int32_t))};
    m->compute = eng_lock_new();
    m->slice_s = 1;
    if (!eng_model_attach(m, settings, err)) return false;
    if (m->n_devices && !m->rehearsal) eng_model_find_far(m);
    return true;
}

static bool check_batch(const EngModelSettings *s, EngError *err)
{
    if (s->batch >= 0 && s->batch <= MOST_BATCH) return true;
    return eng_fail(err, ENG_ERR_USAGE,
                    "A prefill chunk of %d tokens cannot be used: choose 1 to %d.", s->batch,
                    MOST_BATCH);
}

/* Takes over `gguf` and, unless NULL, `rehearsal`. */
static EngModel *open_model(EngGguf *gguf, EngRehearsal *rehearsal,
                            const EngModelSettings *settings, EngError *err)
{
    EngModelSettings s = settings ? *settings : eng_model_defaults();
    EngModel *m = eng_alloc0(sizeof *m);
    m->gguf = gguf;
    m->rehearsal = rehearsal;
    if (check_batch(&s, err) && open_text(m, s.vocab_only, err) &&
        (s.vocab_only || (build_graph(m, &s, err) && open_backend(m, &s, err))) &&
        eng_gguf_check(m->gguf, err))
        return m;
    eng_model_free(m);
    return NULL;
}

static EngGguf *open_memory(const void *data, size_t size, EngError *err)
{
    if ((uintptr_t)data % 32 == 0) return eng_gguf_open_memory(data, size, err);
    eng_fail(err, ENG_ERR_USAGE, "A model in memory must begin at a multiple of 32 bytes.");
    return NULL;
}

EngModel *eng_model_open(const char *path, const EngModelSettings *settings, EngError *err)
{
    EngGguf *gguf = eng_gguf_open(path, err);
    return gguf ? open_model(gguf, NULL, settings, err) : NULL;
}

EngModel *eng_model_open_memory(const void *data, size_t size, const EngModelSettings *settings,
                                EngError *err)
{
    EngGguf *gguf = open_memory(data, size, err);
    return gguf ? open_model(gguf, NULL, settings, err) : NULL;
}

/* Takes over `gguf`, or NULL. */
static bool check(EngGguf *gguf, const EngModelSettings *settings, const EngModel *gone,
                  EngError *err)
{
    EngModelSettings s = settings ? *settings : eng_model_defaults();
    EngSeats seats;
    if (!gguf) return false;
    EngModel *m = eng_alloc0(sizeof *m);
    m->gguf = gguf;
    bool ok = check_batch(&s, err) && open_text(m, s.vocab_only, err);
    if (ok && !s.vocab_only) {
        ok = check_graph(m, &s, err) && eng_model_may_place(m, &s, gone, err) &&
             eng_host_seats(s.threads, &seats, err);
        if (ok) eng_seats_clear(&seats);
    }
    ok = ok && eng_gguf_check(m->gguf, err);
    eng_model_free(m);
    return ok;
}

bool eng_model_check(const char *path, const EngModelSettings *settings, const EngModel *gone,
                     EngError *err)
{
    return check(eng_gguf_open(path, err), settings, gone, err);
}

bool eng_model_check_memory(const void *data, size_t size, const EngModelSettings *settings,
                            const EngModel *gone, EngError *err)
{
    return check(open_memory(data, size, err), settings, gone, err);
}

static EngModel *rehearse(EngGguf *gguf, uint64_t dram, const EngModelSettings *settings,
                          EngError *err)
{
    EngRehearsal *rehearsal = gguf ? eng_rehearsal_new(gguf, dram, err) : NULL;
    if (rehearsal) return open_model(gguf, rehearsal, settings, err);
    eng_gguf_free(gguf);
    return NULL;
}

EngModel *eng_model_rehearse(const EngHeader *headers, size_t n, uint64_t dram,
                             const EngModelSettings *settings, EngError *err)
{
    return rehearse(eng_gguf_open_headers(headers, n, err), dram, settings, err);
}

EngModel *eng_model_rehearse_file(const char *path, uint64_t dram, const EngModelSettings *settings,
                                  EngError *err)
{
    return rehearse(eng_gguf_open(path, err), dram, settings, err);
}

void eng_model_free(EngModel *model)
{
    if (!model) return;
    eng_model_detach(model);
    eng_pool_free(model->pool);
    eng_placement_free(model->placement);
    free((void *)model->batch.tokens);
    free((void *)model->batch.positions);
    free((void *)model->batch.kvs);
    free((void *)model->batch.out);
    eng_lock_free(model->compute);
    eng_graph_clear(&model->graph);
    eng_derived_free(model->derived);
    eng_arena_clear(&model->arena);
    eng_template_free(model->tmpl);
    eng_tokenizer_free(model->tokenizer);
    eng_gguf_free(model->gguf);
    eng_rehearsal_free(model->rehearsal);
    free(model);
    eng_mem_trim(); /* a vocabulary is many small pieces */
}

static void describe_gpu(const EngModel *m, EngModelInfo *info)
{
    memcpy(info->gpu, m->gpu, sizeof info->gpu);
    for (int d = 0; d < m->n_devices; d++) {
        info->guest_bytes += m->devices[d]->guest_bytes;
        info->pinned_bytes += m->devices[d]->pinned_bytes;
        if (!eng_model_is_lost(m)) info->cache_bytes += m->devices[d]->cache_bytes;
        if (!*info->pin_reason)
            memcpy(info->pin_reason, m->devices[d]->pin_reason, sizeof info->pin_reason);
    }
}

EngModelInfo eng_model_info(const EngModel *model)
{
    const EngHparams *h = &model->h;
    EngModelInfo info = {
        .n_vocab = model->backend ? h->n_vocab : eng_tokenizer_size(model->tokenizer),
        .n_layers = h->n_layers,
        .n_embd = h->n_embd,
        .n_experts = h->n_experts,
        .n_experts_used = h->n_experts_used,
        .context_trained = h->context_trained,
        .weight_bytes = model->gguf->tensor_bytes + eng_derived_bytes(model->derived),
        .has_template = model->tmpl != NULL};
    uint64_t filled;
    if (model->rehearsal) info.stand_in_bytes = eng_rehearsal_bytes(model->rehearsal, &filled);
    snprintf(info.arch, sizeof info.arch, "%.63s", model->gguf->arch);
    snprintf(info.name, sizeof info.name, "%s", model->name);
    if (model->backend) {
        info.compute_bytes = model->backend->bytes;
        for (int type = 0; type < ENG_KV_TYPES; type++)
            info.kv_bytes_per_token[type] = eng_kv_token_bytes(&model->graph, (EngKvType)type);
        info.threads = model->backend->threads;
        info.batch = model->backend->max_tokens;
        info.nodes = eng_pool_nodes(model->pool);
        info.copied_bytes = eng_model_copied_bytes(model);
        info.gpu_state = eng_model_is_lost(model) ? ENG_GPU_FAILED : model->gpu_state;
        if (info.gpu_state == ENG_GPU_WORKS)
            describe_gpu(model, &info);
        else
            memcpy(info.gpu_reason, model->gpu_reason, sizeof info.gpu_reason);
    }
    return info;
}

bool eng_model_has_text(const EngModel *model, EngError *err)
{
    if (model->tokenizer) return true;
    return eng_fail(err, ENG_ERR_REFUSED,
                    "This model's file holds no vocabulary, so it cannot read or write text: get a "
                    "complete file of the model.");
}

/* ---- text ------------------------------------------------------------------------------------ */

bool eng_tokenize(const EngModel *model, const char *text, size_t len, EngTokenizeOptions options,
                  int32_t **ret_tokens, size_t *ret_n, EngError *err)
{
    return eng_model_has_text(model, err) &&
           eng_tokenizer_encode(model->tokenizer, text, len, options, ret_tokens, ret_n, err);
}

bool eng_detokenize(const EngModel *model, const int32_t *tokens, size_t n, bool special,
                    char **ret_text, size_t *ret_len, EngError *err)
{
    if (!eng_model_has_text(model, err)) return false;
    EngVec(char) text = {0};
    int size = eng_tokenizer_size(model->tokenizer);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= size) {
            free(text.data);
            return eng_fail(err, ENG_ERR_REFUSED,
                            "Token %d is not in this vocabulary: its tokens are 0 to %d.",
                            tokens[i], size - 1);
        }
        const char *bytes;
        size_t len = eng_tokenizer_piece(model->tokenizer, tokens[i], special, i == 0, &bytes);
        eng_vec_reserve(&text, text.n + len + 1);
        if (len) memcpy(text.data + text.n, bytes, len);
        text.n += len;
    }
    eng_vec_reserve(&text, text.n + 1);
    text.data[text.n] = 0;
    *ret_text = text.data;
    *ret_len = text.n;
    return true;
}

static bool render(const EngTemplate *tmpl, const char *request, const char *defaults,
                   const char *now, char **ret_text, EngError *err)
{
    size_t len;
    char *message = NULL;
    if (eng_template_render(tmpl, request, defaults, now, ret_text, &len, &message, err))
        return true;
    *ret_text = message; /* whole, where the error may have been cut */
    return false;
}

bool eng_chat_render(const EngModel *model, const char *request, const char *now, char **ret_text,
                     EngError *err)
{
    *ret_text = NULL;
    if (!eng_model_has_text(model, err)) return false;
    if (!model->tmpl) {
        if (model->tmpl_error.code)
            return eng_fail(err, model->tmpl_error.code, "%s", model->tmpl_error.message);
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This model's file has no chat template: give one with --template.");
    }
    char *defaults = eng_prompt_defaults(model);
    bool ok = render(model->tmpl, request, defaults, now, ret_text, err);
    free(defaults);
    return ok;
}

bool eng_chat_render_template(const char *tmpl, const char *request, const char *now,
                              char **ret_text, EngError *err)
{
    *ret_text = NULL;
    EngTemplate *t = eng_template_new(tmpl, strlen(tmpl), err);
    if (!t) return false;
    bool ok = render(t, request, NULL, now, ret_text, err);
    eng_template_free(t);
    return ok;
}
