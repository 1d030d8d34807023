/* Which kernels each level of the x86 ladder adds. A level keeps what those below it set. */
#ifndef ENG_CPU_X86_LADDER_H
#define ENG_CPU_X86_LADDER_H

#include "cpu/kernels.h"

static inline void eng_ladder_climb(EngKernels *k, EngCpuLevel level)
{
    (void)k;
    (void)level;
}

#endif
