#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"

/* What decides whether a phase is shared out. */
typedef enum {
    SHARED, /* always */
    SMALL,  /* when it touches many numbers of src */
    SLOTS,  /* when it touches many hidden numbers of experts */
    ALONE   /* never */
} Share;

typedef struct {
    EngCpuOp *run;
    Share share;
} Phase;

enum { MAX_PHASES = 5, MANY = 20000 };

static const Phase phases[ENG_OP_COUNT][MAX_PHASES + 1] = {
    [ENG_OP_EMBED] = {{eng_cpu_op_embed, SMALL}},
    [ENG_OP_ROPE_TABLE] = {{eng_cpu_op_rope_table, SMALL}},
    [ENG_OP_NORM] = {{eng_cpu_op_norm, SMALL}},
    [ENG_OP_LINEAR] = {{eng_cpu_linear_prepare, SMALL}, {eng_cpu_op_linear, SHARED}},
    [ENG_OP_HEADS] = {{eng_cpu_linear_prepare, SMALL},
                      {eng_cpu_op_heads, SHARED},
                      {eng_cpu_attn_expanded, SHARED}},
    [ENG_OP_ROPE] = {{eng_cpu_op_rope, SMALL}},
    [ENG_OP_KV] = {{eng_cpu_op_kv, SMALL}},
    [ENG_OP_ATTN] = {{eng_cpu_op_attn, SHARED}},
    [ENG_OP_GLU] = {{eng_cpu_op_glu, SMALL}},
    [ENG_OP_ROUTE] = {{eng_cpu_op_route, SMALL}},
    [ENG_OP_EXPERTS] = {{eng_cpu_experts_group, ALONE},
                        {eng_cpu_experts_fill, SMALL},
                        {eng_cpu_experts_hidden, SHARED},
                        {eng_cpu_experts_quantize, SLOTS},
                        {eng_cpu_experts_down, SHARED}},
    [ENG_OP_ADD] = {{eng_cpu_op_add, SMALL}},
    [ENG_OP_SELECT] = {{eng_cpu_op_select, ALONE}},
};

static bool is_shared(const EngCpu *cpu, const EngOp *op, Share share)
{
    switch (share) {
    case SHARED: return true;
    case SMALL: return (int64_t)cpu->rows * op->src.heads * op->src.n > MANY;
    case SLOTS: return cpu->rows * op->experts.n_used * op->experts.down.cols > MANY;
    default: return false;
    }
}

/* Goes on to the next phase that is shared out, and does what lies before it. */
static void advance(void *arg, int thread, int n_threads)
{
    EngCpu *cpu = arg;
    (void)n_threads;
    if (eng_cpu_is_stopped(cpu)) cpu->op = cpu->end;
    for (; cpu->op < cpu->end; cpu->op++, cpu->phase = -1) {
        const EngOp *op = &cpu->graph->ops.data[cpu->op];
        const Phase *phase = phases[op->kind];
        while (phase[++cpu->phase].run) {
            if (eng_cpu_left_out(cpu, op, phase[cpu->phase].run)) continue;
            if (is_shared(cpu, op, phase[cpu->phase].share)) return;
            eng_pool_rewind(cpu->pool);
            phase[cpu->phase].run(cpu, op, thread);
        }
    }
}

static void walk(void *arg, int thread, int n_threads)
{
    EngCpu *cpu = arg;
    double *seconds = thread == 0 ? cpu->base.op_seconds : NULL,
           since = seconds ? eng_sys_now() : 0;
    (void)n_threads;
    while (cpu->op < cpu->end) {
        const EngOp *op = &cpu->graph->ops.data[cpu->op];
        EngCpuOp *run = phases[op->kind][cpu->phase].run;
        run(cpu, op, thread);
        eng_pool_meet(cpu->pool, thread, advance, cpu);
        if (!seconds) continue;
        double now = eng_sys_now();
        if (run == eng_cpu_attn_expanded) op--; /* it is the attention's other form */
        seconds[op - cpu->graph->ops.data] += now - since;
        since = now;
    }
}

static void cpu_run(EngBackend *backend, int first, int n, const EngBatch *batch)
{
    EngCpu *cpu = (EngCpu *)backend;
    cpu->batch = batch;
    cpu->base.left_off = false;
    cpu->first = cpu->op = first;
    cpu->phase = -1;
    cpu->end = first + n;
    cpu->rows = batch->n;
    for (int i = 0; i < first; i++)
        if (cpu->graph->ops.data[i].kind == ENG_OP_SELECT) cpu->rows = batch->n_out;
    advance(cpu, 0, 1);
    eng_pool_run(cpu->pool, walk, cpu);
}

static const float *cpu_logits(const EngBackend *backend)
{
    const EngCpu *cpu = (const EngCpu *)backend;
    return cpu->buffers[cpu->graph->logits];
}

static float *cpu_buffer(EngBackend *backend, int buf) { return ((EngCpu *)backend)->buffers[buf]; }

typedef struct {
    EngPool *pool;
    uint8_t *to;
    const uint8_t *from;
    size_t bytes;
} Copy;

static void copy_pieces(void *arg, int thread, int n_threads)
{
    enum { PIECE = 256 << 10 };
    Copy *c = arg;
    (void)thread, (void)n_threads;
    int64_t n = (int64_t)((c->bytes + PIECE - 1) / PIECE);
    for (int64_t i; (i = eng_pool_next(c->pool, n)) >= 0;) {
        size_t at = (size_t)i * PIECE;
        memcpy(c->to + at, c->from + at, ENG_MIN((size_t)PIECE, c->bytes - at));
    }
}

static void cpu_copy(EngBackend *backend, void *to, const void *from, size_t bytes)
{
    Copy c = {((EngCpu *)backend)->pool, to, from, bytes};
    eng_pool_run(c.pool, copy_pieces, &c);
}

static void cpu_free(EngBackend *backend)
{
    EngCpu *cpu = (EngCpu *)backend;
    if (cpu->memory) eng_big_free(cpu->memory, cpu->base.bytes);
    free(cpu->buffers);
    free(cpu->kernels);
    free(cpu->base.op_seconds);
    free(cpu);
}

/* What each matrix is multiplied with: the choice, or the level's own. */
static const EngKernel **find_kernels(const EngGraph *graph, EngCpuLevel level,
                                      const EngKernel *const *chosen)
{
    const EngKernel **found = eng_alloc0((graph->ops.n + 1) * ENG_LINEAR_MAX * sizeof(*found));
    for (size_t i = 0; i < graph->ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        int n = eng_op_weights(&graph->ops.data[i], w);
        for (int j = 0; j < n; j++) {
            size_t at = i * ENG_LINEAR_MAX + (size_t)j;
            found[at] = chosen && chosen[at] ? chosen[at] : eng_kernel(level, w[j]->type);
        }
    }
    return found;
}

static EngCpuNeeds needs_of(const EngGraph *graph, const EngKernel *const *kernels, int max_tokens)
{
    EngCpuNeeds needs = {0};
    for (size_t i = 0; i < graph->ops.n; i++) {
        const EngOp *op = &graph->ops.data[i];
        const EngKernel *const *k = kernels + i * ENG_LINEAR_MAX;
        if (op->kind == ENG_OP_LINEAR || op->kind == ENG_OP_HEADS)
            eng_cpu_needs_linear(op, k, max_tokens, &needs);
        else if (op->kind == ENG_OP_ATTN)
            eng_cpu_needs_attn(op, &needs);
        else if (op->kind == ENG_OP_EXPERTS)
            eng_cpu_needs_experts(op, k, max_tokens, &needs);
        if (op->kind == ENG_OP_ATTN && op->attn.absorbed)
            eng_cpu_needs_expanded(op, max_tokens, &needs);
    }
    return needs;
}

/* Cuts the block into pieces; called once with base NULL to learn the size. */
typedef struct {
    uint8_t *base;
    size_t at;
} Cutter;

static void *cut(Cutter *c, size_t bytes)
{
    void *p = c->base ? c->base + c->at : NULL;
    c->at += (size_t)eng_align_up(bytes, 64);
    return p;
}

static size_t layout(EngCpu *cpu, uint8_t *base, const EngCpuNeeds *needs)
{
    Cutter c = {base, 0};
    const EngGraph *g = cpu->graph;
    size_t tokens = (size_t)cpu->base.max_tokens, slots = tokens * (size_t)needs->n_used;
    bool selected = false;
    size_t first_out = g->widths.n;
    for (size_t i = 0; i < g->ops.n && !selected; i++)
        if (g->ops.data[i].kind == ENG_OP_SELECT) {
            selected = true;
            first_out = (size_t)g->ops.data[i].dst.buf; /* buffers from here on hold wanted rows */
        }
    for (size_t i = 0; i < g->widths.n; i++) {
        size_t rows = i >= first_out ? (size_t)cpu->base.max_out : tokens;
        cpu->buffers[i] = cut(&c, rows * (size_t)g->widths.data[i] * sizeof(float));
    }
    cpu->act = cut(&c, needs->act);
    cpu->scratch_bytes = (size_t)eng_align_up(needs->scratch, 64);
    cpu->scratch = cut(&c, cpu->scratch_bytes * (size_t)cpu->base.threads);
    cpu->slot_act = cut(&c, needs->slot_act);
    cpu->hidden_act = cut(&c, needs->hidden_act);
    cpu->hidden = cut(&c, needs->hidden);
    cpu->partial = cut(&c, needs->partial);
    cpu->slots.first = cut(&c, ((size_t)needs->n_experts + 1) * sizeof(int32_t));
    cpu->slots.active = cut(&c, (size_t)needs->n_experts * sizeof(int32_t));
    cpu->slots.token = cut(&c, slots * sizeof(int32_t));
    cpu->slots.weight = cut(&c, slots * sizeof(float));
    cpu->slots.slot = cut(&c, slots * sizeof(int32_t));
    return c.at;
}

/* No matter which level's: their activations have the same forms. */
size_t eng_cpu_bytes(const EngGraph *graph, int max_tokens, int threads,
                     const EngKernel *const *kernels)
{
    const EngKernel **found = find_kernels(graph, ENG_CPU_C, kernels);
    EngCpu cpu = {.base = {.max_tokens = max_tokens,
                           .max_out = eng_cpu_max_out(max_tokens),
                           .threads = threads},
                  .graph = graph};
    cpu.buffers = eng_alloc0((graph->widths.n + 1) * sizeof *cpu.buffers);
    EngCpuNeeds needs = needs_of(graph, found, max_tokens);
    size_t bytes = layout(&cpu, NULL, &needs);
    free(cpu.buffers);
    free(found);
    return bytes;
}

EngBackend *eng_cpu_new(const EngGraph *graph, const EngCpuSettings *settings, EngError *err)
{
    EngCpu *cpu = eng_alloc0(sizeof *cpu);
    cpu->base = (EngBackend){.run = cpu_run,
                             .logits = cpu_logits,
                             .buffer = cpu_buffer,
                             .copy = cpu_copy,
                             .streaming = ENG_STREAM_CPU,
                             .free = cpu_free,
                             .max_tokens = settings->max_tokens,
                             .max_out = settings->max_out,
                             .threads = eng_pool_threads(settings->pool)};
    cpu->graph = graph;
    cpu->pool = settings->pool;
    cpu->k = eng_kernels(settings->level);
    cpu->kernels = find_kernels(graph, settings->level, settings->kernels);
    cpu->buffers = eng_alloc0((graph->widths.n + 1) * sizeof *cpu->buffers);
    EngCpuNeeds needs = needs_of(graph, cpu->kernels, settings->max_tokens);
    cpu->base.bytes = layout(cpu, NULL, &needs);
    cpu->memory = eng_try_alloc(cpu->base.bytes, "the compute buffers", err);
    if (!cpu->memory) {
        cpu_free(&cpu->base);
        return NULL;
    }
    if (settings->nodes &&
        eng_pool_nodes(cpu->pool) > 1) /* every thread reads what all have made */
        eng_mem_prefer(cpu->memory, cpu->base.bytes, settings->nodes, eng_pool_nodes(cpu->pool));
    layout(cpu, cpu->memory, &needs);
    return &cpu->base;
}
