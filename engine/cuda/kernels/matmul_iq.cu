/* matmul and matmul_experts for the codebook formats. */
#include "matmul.cuh"
#include "quant/iq.cuh"

MATMUL_KERNELS(IQ2_XXS)
MATMUL_KERNELS(IQ2_XS)
MATMUL_KERNELS(IQ2_S)
MATMUL_KERNELS(IQ3_XXS)
MATMUL_KERNELS(IQ3_S)
MATMUL_KERNELS(IQ1_S)
MATMUL_KERNELS(IQ1_M)
