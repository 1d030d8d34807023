/* matvec, experts_up and experts_down for plain floats; files by family keep nvcc quick. */
#include "matvec.cuh"

MATVEC_KERNELS(F32)
MATVEC_KERNELS(F16)
MATVEC_KERNELS(BF16)
