/* What ops take on the CPU, those alike put together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "model.h"

static EngBackend *cpu_of(const EngModel *model)
{
    return model->cpu ? model->cpu : model->backend;
}

void eng_model_time_ops(EngModel *model, bool on)
{
    EngBackend *cpu = cpu_of(model);
    if (!cpu) return;
    size_t n = model->graph.ops.n;
    eng_lock_take(model->compute);
    if (on && !cpu->op_seconds) cpu->op_seconds = eng_alloc0(n * sizeof *cpu->op_seconds);
    if (on) memset(cpu->op_seconds, 0, n * sizeof *cpu->op_seconds);
    if (!on) free(cpu->op_seconds), cpu->op_seconds = NULL;
    eng_lock_give(model->compute);
}

static const char *const names[ENG_OP_COUNT] = {
    [ENG_OP_EMBED] = "embedding",    [ENG_OP_ROPE_TABLE] = "rope table", [ENG_OP_NORM] = "norm",
    [ENG_OP_LINEAR] = "linear",      [ENG_OP_HEADS] = "heads",           [ENG_OP_ROPE] = "rope",
    [ENG_OP_KV] = "cache",           [ENG_OP_ATTN] = "attention",        [ENG_OP_GLU] = "gate",
    [ENG_OP_ROUTE] = "router",       [ENG_OP_EXPERTS] = "experts",       [ENG_OP_ADD] = "add",
    [ENG_OP_SELECT] = "select rows",
};

/* Matrices of the one that a token meets. */
static int64_t met(const EngOp *op, const EngWeight *w)
{
    return op->kind == ENG_OP_EXPERTS ? op->experts.n_used : w->mats;
}

static EngOpTime time_of(const EngOp *op, double seconds, bool wanted)
{
    EngOpTime ret = {.ops = 1, .seconds = seconds, .wanted = wanted};
    const EngWeight *w[ENG_LINEAR_MAX];
    size_t at = 0;
    snprintf(ret.name, sizeof ret.name, "%s", names[op->kind]);
    for (int i = 0, n = eng_op_weights(op, w); i < n; i++) {
        int64_t mats = met(op, w[i]);
        ret.bytes += (double)mats * (double)w[i]->rows * (double)w[i]->row_bytes;
        ret.multiply_adds += (double)mats * (double)w[i]->rows * (double)w[i]->cols;
        int used =
            snprintf(ret.matrices + at, sizeof ret.matrices - at, "%s%d x %d %s", i ? ", " : "",
                     (int)w[i]->cols, (int)w[i]->rows, eng_type_info(w[i]->type)->name);
        at = ENG_MIN(at + (size_t)used, sizeof ret.matrices - 1);
    }
    return ret;
}

static bool alike(const EngOpTime *a, const EngOpTime *b)
{
    return a->wanted == b->wanted && strcmp(a->name, b->name) == 0 &&
           strcmp(a->matrices, b->matrices) == 0;
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const EngOpTime *)a)->seconds, y = ((const EngOpTime *)b)->seconds;
    return (x < y) - (x > y);
}

int eng_model_op_times(const EngModel *model, EngOpTime *ret, int most)
{
    const EngBackend *cpu = cpu_of(model);
    bool wanted = false;
    int n = 0;
    if (!cpu) return 0;
    eng_lock_take(model->compute);
    for (size_t i = 0; i < model->graph.ops.n && cpu->op_seconds; i++) {
        const EngOp *op = &model->graph.ops.data[i];
        wanted |= op->kind == ENG_OP_SELECT;
        if (cpu->op_seconds[i] <= 0) continue;
        EngOpTime one = time_of(op, cpu->op_seconds[i], wanted);
        int j = 0;
        while (j < n && !alike(&ret[j], &one)) j++;
        if (j == most) continue;
        if (j == n) ret[n++] = (EngOpTime){0};
        one.ops += ret[j].ops, one.seconds += ret[j].seconds;
        one.bytes += ret[j].bytes, one.multiply_adds += ret[j].multiply_adds;
        ret[j] = one;
    }
    eng_lock_give(model->compute);
    qsort(ret, (size_t)n, sizeof *ret, by_seconds);
    return n;
}
