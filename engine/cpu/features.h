/* Which instruction sets the kernels may use: what the processor and the system offer (cpuid),
 * limited by HEARTH_CPU_MASK (c, avx2, avxvnni, avx512, vnni, vbmi, amx). */
#ifndef ENG_CPU_FEATURES_H
#define ENG_CPU_FEATURES_H

#include "base/err.h"

typedef enum { /* a ladder: each level includes those before it, but for AVXVNNI */
               ENG_CPU_C,
               ENG_CPU_AVX2,    /* with FMA, F16C, BMI2 */
               ENG_CPU_AVXVNNI, /* VNNI without AVX-512; what has the latter need not have it */
               ENG_CPU_AVX512,
               ENG_CPU_VNNI,
               ENG_CPU_VBMI, /* with VNNI; what has AMX has it too */
               ENG_CPU_AMX,
               ENG_CPU_COUNT
} EngCpuLevel;

extern const char *const eng_cpu_level_names[ENG_CPU_COUNT];

/* Whether this machine has a level, without the mask; and its highest. */
bool eng_cpu_has(EngCpuLevel level);
EngCpuLevel eng_cpu_level_machine(void);
/* Why the system keeps AMX from this program though the processor has it; "" where it does not. */
const char *eng_cpu_amx_refused(void);
/* The highest that it has and that is not above HEARTH_CPU_MASK; ENG_ERR_USAGE when that
 * names no level. */
bool eng_cpu_level(EngCpuLevel *ret_level, EngError *err);
void eng_cpu_name(char *ret_name, size_t size); /* brand string, or the architecture's name */

#endif
