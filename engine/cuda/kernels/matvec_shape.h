/* Shapes of the blocks of matvec_T, experts_up_T, experts_down_T, quantize, halve and copy_act, for
 * the kernels and their launch. */
#ifndef ENG_CUDA_KERNELS_MATVEC_SHAPE_H
#define ENG_CUDA_KERNELS_MATVEC_SHAPE_H

enum {
    MATVEC_THREADS = 128,
    MATVEC_ROWS = 2, /* of the weight, per group of lanes */
    PREPARE_THREADS =
        256, /* quantize: a warp per 32 numbers; halve, copy_act: a block per vector */
};

#endif
