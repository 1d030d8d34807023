/* matmul and matmul_experts for the formats of 32 numbers. */
#include "matmul.cuh"
#include "quant/legacy.cuh"

MATMUL_KERNELS(Q4_0)
MATMUL_KERNELS(Q4_1)
MATMUL_KERNELS(Q5_0)
MATMUL_KERNELS(Q5_1)
MATMUL_KERNELS(Q8_0)
MATMUL_KERNELS(IQ4_NL)
MATMUL_KERNELS(MXFP4)
