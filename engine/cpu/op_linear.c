/* Matrices times activations. First the rows of activations are quantized once into each form that
 * the weights ask for, then tiles of weight rows are dealt out. */
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

enum {
    SEGMENT = 2048,             /* numbers quantized as one piece of work; a multiple of 256 */
    PIECE_BYTES = 1 << 20,      /* of weights in a piece of work for one token, at most */
    PIECE_LEAST = 128 << 10,    /* the first 3 KiB of each are waited for (eng_cpu_ask) */
    PIECES = 4,                 /* for each thread, so that all end at nearly the same time */
    ACT_TILE_BYTES = 640 << 10, /* of activations that should stay in the second-level cache */
    BATCH_ROWS = 64,            /* in a piece of work for many tokens, which reads all of theirs */
};

/* Kernels behind the last matrix's are NULL. */
static bool uses(const EngKernel *const *kernels, EngAct act)
{
    for (int i = 0; i < ENG_LINEAR_MAX && kernels[i]; i++)
        if (kernels[i]->act == act) return true;
    return false;
}

/* From one token's activations in a form to the next: its groups one after the other. */
static size_t token_bytes(const EngOp *op, EngAct act)
{
    if (act == ENG_ACT_F32) return 0;
    return eng_cpu_act_stride((size_t)op->src.heads * eng_act_row_bytes(act, op->src.n));
}

/* Where each form of the activations begins in cpu->act, for `tokens`. */
static size_t places(const EngOp *op, const EngKernel *const *kernels, int tokens,
                     size_t ret_at[ENG_ACT_COUNT])
{
    size_t end = 0;
    for (EngAct act = 0; act < ENG_ACT_COUNT; act++) {
        ret_at[act] = end;
        if (uses(kernels, act)) end += (size_t)tokens * token_bytes(op, act);
    }
    return end;
}

void eng_cpu_needs_linear(const EngOp *op, const EngKernel *const *kernels, int max_tokens,
                          EngCpuNeeds *needs)
{
    size_t at[ENG_ACT_COUNT];
    needs->act = ENG_MAX(needs->act, places(op, kernels, max_tokens, at));
    size_t tile = (size_t)ENG_TILE_TOKENS * BATCH_ROWS;
    needs->scratch = ENG_MAX(needs->scratch, ENG_MAX(2 * tile, ENG_DECODE_ROWS) * sizeof(float));
}

/* Fills cpu->act. */
void eng_cpu_linear_prepare(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    int segments = (op->src.n + SEGMENT - 1) / SEGMENT, heads = op->src.heads, n_forms = 0;
    EngAct forms[ENG_ACT_COUNT];
    size_t begin[ENG_ACT_COUNT];
    const EngKernel *const *kernels = eng_cpu_kernels(cpu, op);
    places(op, kernels, cpu->rows, begin);
    for (EngAct act = ENG_ACT_F32 + 1; act < ENG_ACT_COUNT; act++)
        if (uses(kernels, act)) forms[n_forms++] = act;
    int64_t pieces = (int64_t)cpu->rows * heads * segments;
    for (int64_t i; (i = eng_pool_next(cpu->pool, pieces * n_forms)) >= 0;) {
        EngAct act = forms[i / pieces];
        int at = (int)(i % segments) * SEGMENT, head = (int)(i / segments % heads);
        int row = (int)(i % pieces / segments / heads);
        const float *x = eng_cpu_row(cpu, op->src, row) + (size_t)head * (size_t)op->src.stride;
        uint8_t *y = cpu->act + begin[act] + (size_t)row * token_bytes(op, act) +
                     (size_t)head * eng_act_row_bytes(act, op->src.n) + eng_act_row_bytes(act, at);
        cpu->k->quantize[act](x + at, y, ENG_MIN(SEGMENT, op->src.n - at));
    }
}

/* Activations of one group as the kernel wants them. */
static const void *activations(const EngCpu *cpu, const EngOp *op, EngAct act, int head,
                               const size_t *at, size_t *ret_stride)
{
    if (act == ENG_ACT_F32) {
        *ret_stride = eng_cpu_stride(cpu, op->src) * sizeof(float);
        return eng_cpu_row(cpu, op->src, 0) + (size_t)head * (size_t)op->src.stride;
    }
    *ret_stride = token_bytes(op, act);
    return cpu->act + at[act] + (size_t)head * eng_act_row_bytes(act, op->src.n);
}

int eng_cpu_piece_rows(const EngCpu *cpu, size_t row_bytes, size_t all_bytes)
{
    size_t piece = all_bytes / (PIECES * (size_t)eng_pool_threads(cpu->pool));
    piece = ENG_MIN(ENG_MAX(piece, PIECE_LEAST), PIECE_BYTES);
    int64_t rows = (int64_t)(piece / row_bytes) / 8 * 8;
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
    const EngKernel *kernel;
    int64_t mat;
    const void *x;
    size_t x_stride;
    float *y; /* row 0 of the matrix, token 0 */
    size_t y_stride;
    const float *bias;
    bool add;
} Product;

/* Columns at once for `n` tokens: what they need stays in the cache while rows come and go, and
 * each block of weights is unpacked for all of them. */
static int64_t columns_at_once(EngAct act, int64_t all, int n)
{
    size_t most = ACT_TILE_BYTES / (size_t)n;
    int64_t cols = 256;
    while (cols < all && eng_act_row_bytes(act, cols + 256) <= most) cols += 256;
    return ENG_MIN(cols, all);
}

/* `tile`, room for two: the sums of `n` tokens, [n][n_rows]. They stand together because rows of y
 * are often a multiple of 4 KiB apart, and would push each other out of the caches at each block.
 */
static void multiply_tile(const EngCpu *cpu, const Product *p, int row0, int n_rows, int t, int n,
                          float *tile)
{
    const EngWeight *w = p->w;
    const uint8_t *rows = eng_weight_rows(w, p->mat, row0);
    const uint8_t *x = (const uint8_t *)p->x + (size_t)t * p->x_stride;
    float *part = tile + n * n_rows;
    EngAct act = p->kernel->act;
    int64_t step = columns_at_once(act, w->cols, n);
    for (int64_t at = 0; at < w->cols; at += step) {
        p->kernel->matmul(ENG_MIN(step, w->cols - at), n_rows, n,
                          rows + eng_row_bytes(w->type, (uint64_t)at), w->row_bytes,
                          x + eng_act_row_bytes(act, at), p->x_stride, at ? part : tile,
                          (size_t)n_rows);
        if (at) cpu->k->add_scaled(part, tile, (int64_t)n * n_rows, 1);
    }
}

static void multiply(EngCpu *cpu, const Product *p, int row0, int n_rows, int thread)
{
    const EngWeight *w = p->w;
    const float *bias = p->bias ? p->bias + row0 : NULL;
    if (cpu->rows == 1 && !p->add && !bias) {
        p->kernel->matmul(w->cols, n_rows, 1, eng_weight_rows(w, p->mat, row0), w->row_bytes, p->x,
                          p->x_stride, p->y + row0, p->y_stride);
        return;
    }
    float *tile = eng_cpu_scratch(cpu, thread);
    for (int t = 0; t < cpu->rows; t += ENG_TILE_TOKENS) {
        int n = ENG_MIN(ENG_TILE_TOKENS, cpu->rows - t);
        multiply_tile(cpu, p, row0, n_rows, t, n, tile);
        place(cpu, tile, n, n_rows, p->y + (size_t)t * p->y_stride + row0, p->y_stride, bias,
              p->add);
    }
}

static void linear_work(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    const Product *products = arg;
    multiply(cpu, &products[tile->set], tile->row0, tile->rows, thread);
}

static void linear_ask(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    (void)cpu, (void)thread;
    const Product *products = arg;
    eng_cpu_ask(products[tile->set].w, 0, tile->row0, tile->rows);
}

void eng_cpu_op_linear(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpLinear *l = &op->linear;
    const EngKernel *const *kernels = eng_cpu_kernels(cpu, op);
    size_t at[ENG_ACT_COUNT];
    places(op, kernels, cpu->rows, at);
    Product products[ENG_LINEAR_MAX];
    EngCpuTiles tiles = {.n = l->n, .times = 1};
    size_t all_bytes = 0;
    for (int i = 0; i < l->n; i++) {
        Product *one = &products[i];
        *one = (Product){.w = &l->w[i],
                         .kernel = kernels[i],
                         .y = eng_cpu_row(cpu, l->dst[i], 0),
                         .y_stride = eng_cpu_stride(cpu, l->dst[i]),
                         .bias = l->bias[i],
                         .add = l->add};
        one->x = activations(cpu, op, kernels[i]->act, 0, at, &one->x_stride);
        tiles.w[i] = one->w;
        all_bytes += (size_t)one->w->rows * one->w->row_bytes;
    }
    for (int i = 0; i < l->n; i++)
        tiles.tile[i] =
            cpu->rows > 1 ? BATCH_ROWS : eng_cpu_piece_rows(cpu, l->w[i].row_bytes, all_bytes);
    eng_cpu_tiles(cpu, &tiles, linear_work, linear_ask, products, thread);
}

static void head_work(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    const EngOp *op = arg;
    const EngWeight *w = &op->heads.w;
    const EngKernel *const *kernels = eng_cpu_kernels(cpu, op);
    int head = (int)tile->time;
    size_t at[ENG_ACT_COUNT];
    places(op, kernels, cpu->rows, at);
    Product p = {
        .w = w, .kernel = kernels[0], .mat = head, .y_stride = eng_cpu_stride(cpu, op->dst)};
    p.y = eng_cpu_row(cpu, op->dst, 0) + (size_t)head * (size_t)op->dst.stride;
    p.x = activations(cpu, op, kernels[0]->act, head, at, &p.x_stride);
    multiply(cpu, &p, tile->row0, tile->rows, thread);
}

static void head_ask(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    (void)cpu, (void)thread;
    eng_cpu_ask(&((const EngOp *)arg)->heads.w, tile->time, tile->row0, tile->rows);
}

void eng_cpu_op_heads(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngWeight *w = &op->heads.w;
    EngCpuTiles tiles = {.n = 1, .times = w->mats, .w = {w}};
    size_t all_bytes = (size_t)w->mats * (size_t)w->rows * w->row_bytes;
    tiles.tile[0] = cpu->rows > 1 ? BATCH_ROWS : eng_cpu_piece_rows(cpu, w->row_bytes, all_bytes);
    eng_cpu_tiles(cpu, &tiles, head_work, head_ask, op, thread);
}
