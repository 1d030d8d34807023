/* The GPU of a build without GPU support (-Dcuda=disabled). */
#include <stdio.h>

#include "cuda/cuda.h"

bool eng_cuda_probe(char ret_name[96], uint64_t *ret_total, uint64_t *ret_available,
                    char ret_reason[160])
{
    (void)ret_name;
    (void)ret_total;
    (void)ret_available;
    snprintf(ret_reason, 160, "this build has no GPU support");
    return false;
}
