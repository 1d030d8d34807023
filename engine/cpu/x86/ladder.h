/* Which kernels each level of the x86 ladder adds. A level keeps what those below it set, but for
 * AVX-VNNI, which no other builds on. */
#ifndef ENG_CPU_X86_LADDER_H
#define ENG_CPU_X86_LADDER_H

#include "cpu/kernels.h"

#if defined(__x86_64__)

void eng_kernels_dot_float_avx2(EngKernels *k);
void eng_kernels_dot_k_avx2(EngKernels *k);
void eng_kernels_dot_iq_avx2(EngKernels *k);
void eng_kernels_dot_legacy_avx2(EngKernels *k);
void eng_kernels_quantize_avx2(EngKernels *k);
void eng_kernels_elem_avx2(EngKernels *k);
void eng_kernels_attn_avx2(EngKernels *k);
void eng_kernels_attn_few_avx2(EngKernels *k);
void eng_kernels_dot_k_avxvnni(EngKernels *k);
void eng_kernels_dot_iq_avxvnni(EngKernels *k);
void eng_kernels_dot_legacy_avxvnni(EngKernels *k);
/* The same in AVX-512's encoding: in the tests alone. */
void eng_kernels_dot_k_evex(EngKernels *k);
void eng_kernels_dot_iq_evex(EngKernels *k);
void eng_kernels_dot_legacy_evex(EngKernels *k);
void eng_kernels_quantize_avx512(EngKernels *k);
void eng_kernels_elem_avx512(EngKernels *k);
void eng_kernels_attn_avx512(EngKernels *k);
void eng_kernels_attn_few_avx512(EngKernels *k);
void eng_kernels_dot_float_avx512(EngKernels *k);
void eng_kernels_dot_k_avx512(EngKernels *k);
void eng_kernels_dot_legacy_avx512(EngKernels *k);
void eng_kernels_dot_iq_avx512(EngKernels *k);
void eng_kernels_attn_vnni(EngKernels *k);
void eng_kernels_attn_i16_vnni(EngKernels *k);
void eng_kernels_dot_k_vnni(EngKernels *k);
void eng_kernels_dot_legacy_vnni(EngKernels *k);
void eng_kernels_dot_iq_vnni(EngKernels *k);
void eng_kernels_dot_iq1_vbmi(EngKernels *k);
void eng_kernels_dot_iq2_vbmi(EngKernels *k);
void eng_kernels_dot_iq3_vbmi(EngKernels *k);
void eng_kernels_dot_float_amx(EngKernels *k);
void eng_kernels_dot_k_amx(EngKernels *k);
void eng_kernels_dot_legacy_amx(EngKernels *k);
void eng_kernels_dot_iq_amx(EngKernels *k);
/* The same with a model of the instructions: in the tests alone. */
void eng_kernels_dot_float_amx_model(EngKernels *k);
void eng_kernels_dot_k_amx_model(EngKernels *k);
void eng_kernels_dot_legacy_amx_model(EngKernels *k);
void eng_kernels_dot_iq_amx_model(EngKernels *k);

static inline void eng_ladder_climb(EngKernels *k, EngCpuLevel level)
{
    if (level < ENG_CPU_AVX2) return;
    eng_kernels_dot_float_avx2(k);
    eng_kernels_dot_k_avx2(k);
    eng_kernels_dot_iq_avx2(k);
    eng_kernels_dot_legacy_avx2(k);
    eng_kernels_quantize_avx2(k);
    eng_kernels_elem_avx2(k);
    eng_kernels_attn_avx2(k);
    eng_kernels_attn_few_avx2(k);
    if (level == ENG_CPU_AVXVNNI) { /* a branch: what has AVX-512 need not have it */
        eng_kernels_dot_k_avxvnni(k);
        eng_kernels_dot_iq_avxvnni(k);
        eng_kernels_dot_legacy_avxvnni(k);
    }
    if (level < ENG_CPU_AVX512) return;
    eng_kernels_quantize_avx512(k);
    eng_kernels_elem_avx512(k);
    eng_kernels_attn_avx512(k);
    eng_kernels_attn_few_avx512(k);
    eng_kernels_dot_float_avx512(k);
    eng_kernels_dot_k_avx512(k);
    eng_kernels_dot_legacy_avx512(k);
    eng_kernels_dot_iq_avx512(k);
    if (level < ENG_CPU_VNNI) return;
    eng_kernels_attn_vnni(k);
    eng_kernels_attn_i16_vnni(k);
    eng_kernels_dot_k_vnni(k);
    eng_kernels_dot_legacy_vnni(k);
    eng_kernels_dot_iq_vnni(k);
    if (level < ENG_CPU_VBMI) return;
    eng_kernels_dot_iq1_vbmi(k);
    eng_kernels_dot_iq2_vbmi(k);
    eng_kernels_dot_iq3_vbmi(k);
    if (level < ENG_CPU_AMX) return;
    eng_kernels_dot_float_amx(k);
    eng_kernels_dot_k_amx(k);
    eng_kernels_dot_legacy_amx(k);
    eng_kernels_dot_iq_amx(k);
}

#else

static inline void eng_ladder_climb(EngKernels *k, EngCpuLevel level)
{
    (void)k;
    (void)level;
}

#endif

#endif
