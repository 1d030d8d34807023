/* The kernels as nvcc made them, embedded in the program: fat binaries for every architecture that
 * it knows, and PTX for later ones. */
#ifndef ENG_CUDA_IMAGE_H
#define ENG_CUDA_IMAGE_H

typedef struct {
    const char *name; /* of the source file; NULL ends the list */
    const void *data; /* what cuModuleLoadData takes */
} EngCuImage;

extern const EngCuImage eng_cuda_images[]; /* empty when there was no nvcc */

#endif
