/* The walk of the row kernels, for every instruction set: whole rows of weights meet 1 to 4 tokens,
 * block by block. It serves few tokens and the rows that fill no tile. A file that includes this
 * has defined INLINE, UNROLL, Floats, total and a step function per type. */
#ifndef ENG_CPU_X86_ROWS_H
#define ENG_CPU_X86_ROWS_H

/* Adds the products of one weight block with the activation blocks at x, x + x_stride, … of
 * `tokens` (1 … 4, a constant) tokens to acc[tokens]. */
typedef void StepFn(const char *w, const char *x, size_t x_stride, int tokens, Floats *acc);

typedef struct {
    StepFn *step;
    int64_t n;             /* numbers per block */
    size_t w_size, x_size; /* bytes per block */
} RowKind;

/* How far ahead of a stream the next bytes are asked for: what arrives while one line is waited
 * for, 40 GB/s to a core 120 ns away, is 5 KiB in four streams, and half as much more leaves room
 * for delay. The processor's own prefetchers stop at every 4 KiB page. What lies before the first
 * place that is asked for is eng_cpu_ask's. */
enum { ROW_STREAMS = 4, ROW_AHEAD = 2048 };

/* Blocks of 256 whose activations a walk of one token puts in order at once. A row that is longer
 * is read in several goes, each of which asks for bytes behind its end that the next row does not
 * begin with: rows of 16,384 in two goes were read at three quarters of the speed. */
enum { ACTS_AT_ONCE = 96 };

INLINE void rows_prefetch(const char *w, size_t size)
{
    for (size_t at = 0; at < size; at += 64) _mm_prefetch(w + ROW_AHEAD + at, _MM_HINT_T0);
}

/* One token: memory is the limit, so four rows far apart are read at once. A core keeps more cache
 * lines in flight over four streams than over one. Returns the first row that is left over. */
INLINE int rows_one_token(RowKind kind, int64_t blocks, int n_rows, const char *w, size_t w_stride,
                          const char *x, float *y)
{
    int quarter = n_rows / ROW_STREAMS;
    for (int r = 0; r < quarter; r++) {
        const char *row = w + (size_t)r * w_stride;
        size_t apart = (size_t)quarter * w_stride;
        Floats acc[ROW_STREAMS] = {{0}};
        for (int64_t i = 0; i < blocks; i++) {
            UNROLL for (int s = 0; s < ROW_STREAMS; s++)
            {
                const char *at = row + (size_t)s * apart + (size_t)i * kind.w_size;
                rows_prefetch(at, kind.w_size);
                kind.step(at, x + (size_t)i * kind.x_size, 0, 1, acc + s);
            }
        }
        UNROLL for (int s = 0; s < ROW_STREAMS; s++) y[r + s * quarter] = total(acc[s]);
    }
    return quarter * ROW_STREAMS;
}

INLINE void rows_tokens(RowKind kind, int64_t blocks, int tokens, const char *row, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    Floats acc[4] = {{0}};
    for (int64_t i = 0; i < blocks; i++) {
        const char *at = row + (size_t)i * kind.w_size;
        rows_prefetch(at, kind.w_size);
        kind.step(at, x + (size_t)i * kind.x_size, x_stride, tokens, acc);
    }
    UNROLL for (int t = 0; t < tokens; t++) y[(size_t)t * y_stride] = total(acc[t]);
}

/* Asks for a tile's next block but one, in each of its rows: the processor's own prefetchers do not
 * follow so many streams. step: number of the block in the order in which tiles are read. */
INLINE void tile_prefetch(int64_t step, int64_t blocks, int n_rows, int tile_rows, size_t w_size,
                          const char *w, size_t w_stride)
{
    int64_t next = step + 2, r = next / blocks * tile_rows;
    if (r >= n_rows) return;
    const char *at = w + (size_t)r * w_stride + (size_t)(next % blocks) * w_size;
    for (int i = 0; i < tile_rows; i++, at += w_stride)
        for (size_t line = 0; line < w_size; line += 64) _mm_prefetch(at + line, _MM_HINT_T0);
}

INLINE void rows_matmul(RowKind kind, int64_t n, int n_rows, int n_tokens, const void *w,
                        size_t w_stride, const void *x, size_t x_stride, float *y, size_t y_stride)
{
    int64_t blocks = n / kind.n;
    int r = n_tokens == 1 ? rows_one_token(kind, blocks, n_rows, w, w_stride, x, y) : 0;
    for (; r < n_rows; r++) {
        const char *row = (const char *)w + (size_t)r * w_stride;
        int t = 0;
        for (; t + 4 <= n_tokens; t += 4)
            rows_tokens(kind, blocks, 4, row, (const char *)x + (size_t)t * x_stride, x_stride,
                        y + (size_t)t * y_stride + r, y_stride);
        if (n_tokens - t >= 2) {
            rows_tokens(kind, blocks, 2, row, (const char *)x + (size_t)t * x_stride, x_stride,
                        y + (size_t)t * y_stride + r, y_stride);
            t += 2;
        }
        if (t < n_tokens)
            rows_tokens(kind, blocks, 1, row, (const char *)x + (size_t)t * x_stride, x_stride,
                        y + (size_t)t * y_stride + r, y_stride);
    }
}

#endif
