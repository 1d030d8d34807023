/* Matrices times activations. First the rows of activations are quantized once into each form that
 * the weights ask for, then tiles of weight rows are dealt out. */
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

enum {
    SEGMENT = 2048,             /* numbers quantized as one piece of work; a multiple of 256 */
    DECODE_BYTES = 32 << 10,    /* of weights in a piece of work for one token */
    ACT_TILE_BYTES = 384 << 10, /* of activations that should stay in the second-level cache */
};

static bool uses(const EngOp *op, EngAct act)
{
    if (op->kind == ENG_OP_HEADS) return eng_type_info(op->heads.w.type)->act == act;
    for (int i = 0; i < op->linear.n; i++)
        if (eng_type_info(op->linear.w[i].type)->act == act) return true;
    return false;
}

/* Bytes of one token's activations in a form: its groups one after the other. */
static size_t token_bytes(const EngOp *op, EngAct act)
{
    return act == ENG_ACT_F32 ? 0 : (size_t)op->src.heads * eng_act_row_bytes(act, op->src.n);
}

void eng_cpu_needs_linear(const EngOp *op, int max_tokens, EngCpuNeeds *needs)
{
    size_t bytes = 0;
    for (EngAct act = 0; act < ENG_ACT_COUNT; act++)
        if (uses(op, act)) bytes += (size_t)max_tokens * token_bytes(op, act);
    needs->act = ENG_MAX(needs->act, bytes);
    size_t tile = (size_t)ENG_TILE_TOKENS * ENG_TILE_ROWS;
    needs->scratch = ENG_MAX(needs->scratch, ENG_MAX(tile, ENG_DECODE_ROWS) * sizeof(float));
}

/* Fills cpu->act; ret_at[act] is where a form begins. Ends with a barrier when there was work. */
static void quantize(EngCpu *cpu, const EngOp *op, int thread, size_t *ret_at)
{
    int segments = (op->src.n + SEGMENT - 1) / SEGMENT, heads = op->src.heads;
    size_t end = 0;
    for (EngAct act = ENG_ACT_F32 + 1; act < ENG_ACT_COUNT; act++) {
        if (!uses(op, act)) continue;
        ret_at[act] = end;
        int64_t pieces = (int64_t)cpu->rows * heads * segments;
        for (int64_t i; (i = eng_pool_next(cpu->pool, pieces)) >= 0;) {
            int at = (int)(i % segments) * SEGMENT, head = (int)(i / segments % heads);
            int row = (int)(i / segments / heads);
            const float *x = eng_cpu_row(cpu, op->src, row) + (size_t)head * (size_t)op->src.stride;
            uint8_t *y = cpu->act + end + (size_t)row * token_bytes(op, act) +
                         (size_t)head * eng_act_row_bytes(act, op->src.n) +
                         eng_act_row_bytes(act, at);
            cpu->k->quantize[act](x + at, y, ENG_MIN(SEGMENT, op->src.n - at));
        }
        end += (size_t)cpu->rows * token_bytes(op, act);
        eng_pool_barrier(cpu->pool, thread);
    }
}

/* Activations of one group as the kernel wants them. */
static const void *activations(const EngCpu *cpu, const EngOp *op, EngType type, int head,
                               const size_t *at, size_t *ret_stride)
{
    EngAct act = eng_type_info(type)->act;
    if (act == ENG_ACT_F32) {
        *ret_stride = eng_cpu_stride(cpu, op->src) * sizeof(float);
        return eng_cpu_row(cpu, op->src, 0) + (size_t)head * (size_t)op->src.stride;
    }
    *ret_stride = token_bytes(op, act);
    return cpu->act + at[act] + (size_t)head * eng_act_row_bytes(act, op->src.n);
}

/* Weight rows per piece of work: a matter of the shape and the batch alone, never of the threads.
 */
static int tile_rows(const EngWeight *w, int tokens)
{
    if (tokens > 1) return ENG_TILE_ROWS;
    int64_t rows = (int64_t)(DECODE_BYTES / w->row_bytes) / 8 * 8;
    return (int)ENG_MIN(ENG_MAX(rows, 8), ENG_DECODE_ROWS);
}

/* A finished tile [tokens][rows] in scratch goes to its place. */
static void place(EngCpu *cpu, const float *tile, int n_tokens, int n_rows, float *y,
                  size_t y_stride, const float *bias, bool add)
{
    for (int t = 0; t < n_tokens; t++, tile += n_rows, y += y_stride) {
        if (add)
            cpu->k->add_scaled(tile, y, n_rows, 1);
        else
            memcpy(y, tile, (size_t)n_rows * sizeof *y);
        if (bias) cpu->k->add_scaled(bias, y, n_rows, 1);
    }
}

typedef struct {
    const EngWeight *w;
    int64_t mat;
    const void *x;
    size_t x_stride;
    float *y; /* row 0 of the matrix, token 0 */
    size_t y_stride;
    const float *bias;
    bool add;
} Product;

static void multiply(EngCpu *cpu, const Product *p, int row0, int n_rows, int thread)
{
    const EngWeight *w = p->w;
    const uint8_t *rows = eng_weight_mat(w, p->mat) + (size_t)row0 * w->row_bytes;
    EngMatmulFn *matmul = cpu->k->matmul[w->type];
    int most = (int)ENG_MIN(ENG_MAX(ACT_TILE_BYTES / (p->x_stride + 1), 16), ENG_TILE_TOKENS);
    for (int t = 0; t < cpu->rows; t += most) {
        int n = ENG_MIN(most, cpu->rows - t);
        const uint8_t *x = (const uint8_t *)p->x + (size_t)t * p->x_stride;
        float *y = p->y + (size_t)t * p->y_stride + row0;
        if (!p->add && !p->bias) {
            matmul(w->cols, n_rows, n, rows, w->row_bytes, x, p->x_stride, y, p->y_stride);
            continue;
        }
        float *tile = eng_cpu_scratch(cpu, thread);
        matmul(w->cols, n_rows, n, rows, w->row_bytes, x, p->x_stride, tile, (size_t)n_rows);
        place(cpu, tile, n, n_rows, y, p->y_stride, p->bias ? p->bias + row0 : NULL, p->add);
    }
}

void eng_cpu_op_linear(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpLinear *l = &op->linear;
    size_t at[ENG_ACT_COUNT] = {0};
    quantize(cpu, op, thread, at);
    Product products[ENG_LINEAR_MAX];
    int tile[ENG_LINEAR_MAX];
    int64_t end[ENG_LINEAR_MAX], total = 0;
    for (int i = 0; i < l->n; i++) {
        products[i] = (Product){&l->w[i],
                                0,
                                NULL,
                                0,
                                eng_cpu_row(cpu, l->dst[i], 0),
                                eng_cpu_stride(cpu, l->dst[i]),
                                l->bias[i],
                                l->add};
        products[i].x = activations(cpu, op, l->w[i].type, 0, at, &products[i].x_stride);
        tile[i] = tile_rows(&l->w[i], cpu->rows);
        total += (l->w[i].rows + tile[i] - 1) / tile[i];
        end[i] = total;
    }
    for (int64_t piece; (piece = eng_pool_next(cpu->pool, total)) >= 0;) {
        int i = 0;
        while (piece >= end[i]) i++;
        int64_t row = (piece - (i ? end[i - 1] : 0)) * tile[i];
        multiply(cpu, &products[i], (int)row, (int)ENG_MIN(tile[i], l->w[i].rows - row), thread);
    }
}

void eng_cpu_op_heads(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngWeight *w = &op->heads.w;
    size_t at[ENG_ACT_COUNT] = {0};
    quantize(cpu, op, thread, at);
    int tile = tile_rows(w, cpu->rows);
    int64_t tiles = (w->rows + tile - 1) / tile;
    for (int64_t piece; (piece = eng_pool_next(cpu->pool, tiles * w->mats)) >= 0;) {
        int head = (int)(piece / tiles);
        int64_t row = piece % tiles * tile;
        Product p = {.w = w, .mat = head, .y_stride = eng_cpu_stride(cpu, op->dst)};
        p.y = eng_cpu_row(cpu, op->dst, 0) + (size_t)head * (size_t)op->dst.stride;
        p.x = activations(cpu, op, w->type, head, at, &p.x_stride);
        multiply(cpu, &p, (int)row, (int)ENG_MIN(tile, w->rows - row), thread);
    }
}
