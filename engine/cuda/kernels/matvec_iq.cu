/* matvec, experts_up and experts_down for the codebook formats; files by family keep nvcc quick. */
#include "matvec.cuh"
#include "quant/iq.cuh"

MATVEC_KERNELS(IQ2_XXS)
MATVEC_KERNELS(IQ2_XS)
MATVEC_KERNELS(IQ2_S)
MATVEC_KERNELS(IQ3_XXS)
MATVEC_KERNELS(IQ3_S)
MATVEC_KERNELS(IQ1_S)
MATVEC_KERNELS(IQ1_M)
