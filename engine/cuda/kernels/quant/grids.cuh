/* The codebooks in the device's memory, from the same file as the host's. They are read through the
 * caches, where lanes that look up different entries do not wait for each other as they would in
 * constant memory. */
#ifndef ENG_CUDA_KERNELS_QUANT_GRIDS_CUH
#define ENG_CUDA_KERNELS_QUANT_GRIDS_CUH

#include "../common.cuh"

#define ENG_GRID static __device__ constexpr
#include "../../../load/iq_grids.c"
#undef ENG_GRID
#undef A_
#undef B_
#undef C_
#undef D_
#undef FOUR
#undef A
#undef B
#undef C
#undef D

#endif
