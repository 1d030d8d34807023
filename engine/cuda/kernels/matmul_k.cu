/* matmul and matmul_experts for the formats of 256 numbers without a codebook. */
#include "matmul.cuh"
#include "quant/k.cuh"

MATMUL_KERNELS(Q2_K)
MATMUL_KERNELS(Q3_K)
MATMUL_KERNELS(Q4_K)
MATMUL_KERNELS(Q5_K)
MATMUL_KERNELS(Q6_K)
MATMUL_KERNELS(IQ4_XS)
