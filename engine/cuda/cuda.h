/* The GPU as the rest of the engine sees it before one is opened. */
#ifndef ENG_CUDA_CUDA_H
#define ENG_CUDA_CUDA_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char name[96];
    uint64_t total, available; /* bytes; available: 0 when the driver does not tell (no NVML) */
    int processors;            /* streaming multiprocessors; 0 = not told */
} EngCudaProbe;

/* Describes the first GPU that the engine can use (Turing, compute capability 7.5, or later), in
 * the driver's order: fastest first, CUDA_VISIBLE_DEVICES respected. false: there is none, or there
 * are no kernels for it, which is no error: a phrase says why. */
bool eng_cuda_probe(EngCudaProbe *ret, char ret_reason[160]);

#endif
