/* Q2_K … Q6_K on AMX. */
#include "cpu/x86/amx/tile_k.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/unpack/pack_k.h"

MATMUL(q2_k, EngBlockQ2_K, .group = 16, .mins = true)
MATMUL(q3_k, EngBlockQ3_K, .group = 16, .zero = 4, .high = true)
MATMUL(q4_k, EngBlockQ4_K, .group = 32, .mins = true, .high = true)
MATMUL(q5_k, EngBlockQ5_K, .group = 32, .mins = true, .high = true)
MATMUL(q6_k, EngBlockQ6_K, .group = 16, .zero = 32, .high = true)

void AMX_ISA(eng_kernels_dot_k)(EngKernels *k)
{
    SET(ENG_TYPE_Q2_K, q2_k);
    SET(ENG_TYPE_Q3_K, q3_k);
    SET(ENG_TYPE_Q4_K, q4_k);
    SET(ENG_TYPE_Q5_K, q5_k);
    SET(ENG_TYPE_Q6_K, q6_k);
}
