/* matvec, experts_up and experts_down for blocks of 32 weights; files by family keep nvcc quick. */
#include "matvec.cuh"
#include "quant/legacy.cuh"

MATVEC_KERNELS(Q4_0)
MATVEC_KERNELS(Q4_1)
MATVEC_KERNELS(Q5_0)
MATVEC_KERNELS(Q5_1)
MATVEC_KERNELS(Q8_0)
MATVEC_KERNELS(IQ4_NL)
MATVEC_KERNELS(MXFP4)
