/* matvec, experts_up and experts_down for the K formats and IQ4_XS; files by family keep nvcc quick. */
#include "matvec.cuh"
#include "quant/k.cuh"

MATVEC_KERNELS(Q2_K)
MATVEC_KERNELS(Q3_K)
MATVEC_KERNELS(Q4_K)
MATVEC_KERNELS(Q5_K)
MATVEC_KERNELS(Q6_K)
MATVEC_KERNELS(IQ4_XS)
