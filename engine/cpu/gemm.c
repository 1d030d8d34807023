/* Small float matrix products for attention. */
#include "cpu/families.h"

static void gemm_nt(int m, int n, int k, float alpha, const float *a, size_t lda, const float *b,
                    size_t ldb, float *c, size_t ldc)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            const float *ai = a + (size_t)i * lda, *bj = b + (size_t)j * ldb;
            float sum[8] = {0};
            for (int p = 0; p < k; p++) sum[p % 8] += ai[p] * bj[p];
            c[(size_t)i * ldc + (size_t)j] = alpha * (((sum[0] + sum[1]) + (sum[2] + sum[3])) +
                                                      ((sum[4] + sum[5]) + (sum[6] + sum[7])));
        }
}

static void gemm_nn(int m, int n, int k, const float *a, size_t lda, const float *b, size_t ldb,
                    float *c, size_t ldc)
{
    for (int i = 0; i < m; i++)
        for (int p = 0; p < k; p++) {
            float factor = a[(size_t)i * lda + (size_t)p];
            const float *bp = b + (size_t)p * ldb;
            float *ci = c + (size_t)i * ldc;
            for (int j = 0; j < n; j++) ci[j] += factor * bp[j];
        }
}

void eng_kernels_gemm_c(EngKernels *k)
{
    k->gemm_nt = gemm_nt;
    k->gemm_nn = gemm_nn;
}
