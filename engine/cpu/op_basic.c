/* Ops that do little work per token: each row, or each piece of a row, is one piece of work. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

void eng_cpu_op_embed(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngWeight *w = &op->embed.table;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        const uint8_t *row = w->data + (size_t)cpu->batch->tokens[t] * w->row_bytes;
        eng_type_info(w->type)->to_f32(row, eng_cpu_row(cpu, op->dst, (int)t), w->cols);
    }
}

/* The angle is rounded to float first, as the reference implementations do: at large positions that
 * decides its digits. */
void eng_cpu_op_rope_table(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpRopeTable *p = &op->rope_table;
    int half = op->dst.n / 2;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        float *row = eng_cpu_row(cpu, op->dst, (int)t);
        for (int i = 0; i < half; i++) {
            float angle = (float)cpu->batch->positions[t] * p->freq[i];
            row[i] = cosf(angle) * p->mscale;
            row[half + i] = sinf(angle) * p->mscale;
        }
    }
}

void eng_cpu_op_norm(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    int heads = op->src.heads;
    for (int64_t i; (i = eng_pool_next(cpu->pool, cpu->rows)) >= 0;)
        for (int h = 0; h < heads; h++)
            cpu->k->rms_norm(eng_cpu_row(cpu, op->src, (int)i) + (size_t)h * (size_t)op->src.stride,
                             op->norm.weight,
                             eng_cpu_row(cpu, op->dst, (int)i) + (size_t)h * (size_t)op->dst.stride,
                             op->src.n, op->norm.eps);
}

static void turn(const float *x, float *y, const float *table, int dims, bool neox)
{
    int half = dims / 2;
    const float *cosines = table, *sines = table + half;
    for (int i = 0; i < half; i++) {
        int a = neox ? i : 2 * i, b = neox ? i + half : 2 * i + 1;
        float xa = x[a], xb = x[b];
        y[a] = xa * cosines[i] - xb * sines[i];
        y[b] = xa * sines[i] + xb * cosines[i];
    }
}

void eng_cpu_op_rope(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpRope *p = &op->rope;
    size_t rest = (size_t)(op->src.n - p->dims) * sizeof(float);
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        const float *table = eng_cpu_row(cpu, p->table, (int)t);
        for (int h = 0; h < op->src.heads; h++) {
            const float *x = eng_cpu_row(cpu, op->src, (int)t) + (size_t)h * (size_t)op->src.stride;
            float *y = eng_cpu_row(cpu, op->dst, (int)t) + (size_t)h * (size_t)op->dst.stride;
            turn(x, y, table, p->dims, p->neox);
            if (x != y && rest) memcpy(y + p->dims, x + p->dims, rest);
        }
    }
}

/* Activation blocks are q8_0 blocks with a wider scale. */
static void store_bytes(const EngCpu *cpu, const float *x, EngBlockQ8_0 *to, int n)
{
    for (int i = 0; i < n / 32; i++) {
        EngBlockQ8_0A block;
        cpu->k->quantize[ENG_ACT_Q8_0](x + 32 * i, &block, 32);
        to[i].d = eng_f32_to_f16(block.d);
        memcpy(to[i].qs, block.q, sizeof to[i].qs);
    }
}

static void store(const EngCpu *cpu, const EngKv *kv, uint8_t *cell, EngView v, int row)
{
    for (int h = 0; h < v.heads; h++) {
        const float *x = eng_cpu_row(cpu, v, row) + (size_t)h * (size_t)v.stride;
        void *to = cell + (size_t)h * eng_kv_part(kv->type, v.n);
        switch (kv->type) {
        case ENG_KV_F32: memcpy(to, x, (size_t)v.n * sizeof *x); break;
        case ENG_KV_Q8_0: store_bytes(cpu, x, to, v.n); break;
        default: cpu->k->f32_to_f16(x, to, v.n);
        }
    }
}

void eng_cpu_op_kv(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpKv *p = &op->kv;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        const EngKv *kv = cpu->batch->kvs[t];
        int pos = cpu->batch->positions[t];
        store(cpu, kv, eng_kv_key(kv, p->layer, pos), op->src, (int)t);
        if (p->value.buf >= 0) store(cpu, kv, eng_kv_value(kv, p->layer, pos), p->value, (int)t);
    }
}

void eng_cpu_op_glu(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    enum { PIECE = 2048 };
    int pieces = (op->src.n + PIECE - 1) / PIECE;
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)cpu->rows * pieces)) >= 0;) {
        int row = (int)(i / pieces), at = (int)(i % pieces) * PIECE;
        cpu->k->silu_mul(eng_cpu_row(cpu, op->src, row) + at,
                         eng_cpu_row(cpu, op->glu.up, row) + at,
                         eng_cpu_row(cpu, op->dst, row) + at, ENG_MIN(PIECE, op->src.n - at));
    }
}

void eng_cpu_op_add(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;)
        cpu->k->add_scaled(eng_cpu_row(cpu, op->src, (int)t), eng_cpu_row(cpu, op->dst, (int)t),
                           op->src.n, 1);
}

/* Later ops see only these rows. One thread runs it, between two barriers. */
void eng_cpu_op_select(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    for (int i = 0; i < cpu->batch->n_out; i++)
        memcpy(eng_cpu_row(cpu, op->dst, i), eng_cpu_row(cpu, op->src, cpu->batch->out[i]),
               (size_t)op->src.n * sizeof(float));
    cpu->rows = cpu->batch->n_out;
}
