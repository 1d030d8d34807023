/* The GPU as the rest of the engine sees it. */
#ifndef ENG_CUDA_CUDA_H
#define ENG_CUDA_CUDA_H

#include <stdbool.h>
#include <stdint.h>

/* Describes the first GPU that the engine can use (Turing, compute capability 7.5, or later), in
 * the driver's order: fastest first, CUDA_VISIBLE_DEVICES respected. false: there is none, which
 * is no error, and ret_reason alone is written: a phrase saying why. Memory in bytes;
 * *ret_available is 0 when the driver does not tell (no NVML). */
bool eng_cuda_probe(char ret_name[96], uint64_t *ret_total, uint64_t *ret_available,
                    char ret_reason[160]);

#endif
