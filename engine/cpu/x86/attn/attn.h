/* Attention's product and the series behind its softmax. Written once for every instruction set:
 * the file that includes this has defined Floats and its words, and DEPTH, how many rows of b a
 * pass over c takes; it defines pass. */
#ifndef ENG_CPU_X86_ATTN_ATTN_H
#define ENG_CPU_X86_ATTN_ATTN_H

typedef struct {
    const float *a;
    size_t a_row, a_step;
    const float *b;
    size_t ldb;
    const float *keep;
    bool add; /* to c, as it is */
    float *c;
    size_t ldc;
} Product;

/* All of c, m rows of n columns, from rows from … to - 1 of b. */
INLINE void pass(const Product *g, int m, int n, int from, int to);

static void gemm(int m, int n, int k, const float *a, size_t a_row, size_t a_step, const float *b,
                 size_t ldb, const float *keep, float *c, size_t ldc)
{
    Product g = {a, a_row, a_step, b, ldb, keep, false, c, ldc};
    int from = 0;
    do {
        int to = ENG_MIN(from + DEPTH, k);
        pass(&g, m, n, from, to);
        g.add = true;
        from = to;
    } while (from < k);
}

#endif
