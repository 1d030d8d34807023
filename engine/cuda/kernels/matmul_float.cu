/* matmul and matmul_experts for weights of plain numbers. */
#include "matmul.cuh"
#include "quant/float.cuh"

MATMUL_KERNELS(F32)
MATMUL_KERNELS(F16)
MATMUL_KERNELS(BF16)
