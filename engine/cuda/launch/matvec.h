/* Products of matrices with few vectors, and activations as they and those of launch_matmul.h read
 * them. Behind what was launched before, on the device's stream; a failure shows at eng_cuda_sync.
 * What the numbers mean: kernels/args.h. `lanes` of the arguments is set here. */
#ifndef ENG_CUDA_LAUNCH_MATVEC_H
#define ENG_CUDA_LAUNCH_MATVEC_H

#include "cuda/device.h"

void eng_cuda_matvec(EngCuda *cuda, EngType type, const EngCuMatvec *args);

/* Up: of gate and up alike. */
void eng_cuda_experts_up(EngCuda *cuda, EngType type, const EngCuExperts *args);
void eng_cuda_experts_down(EngCuda *cuda, EngType type, const EngCuExperts *args);

/* kind: ENG_CU_quantize (src.n a multiple of 32), ENG_CU_halve or ENG_CU_copy_act. */
void eng_cuda_prepare(EngCuda *cuda, EngCuKernel kind, const EngCuPrepare *args);

/* What activations of a weight's type have to be for the products here. */
static inline EngCuKernel eng_cuda_act_of(EngType type)
{
    return eng_type_info(type)->act == ENG_ACT_F32 ? ENG_CU_copy_act : ENG_CU_quantize;
}

#endif
