/* All kernels by name. A family has one kernel per weight format (EngType), "matvec_Q4_K", or per
 * form of the cache, "kv_store_f16"; the others stand alone. launch code and the simulated device
 * number them alike. */
#ifndef ENG_CUDA_KERNELS_NAMES_H
#define ENG_CUDA_KERNELS_NAMES_H

#define ENG_CU_FORMATS(X)                                                                          \
    X(F32)                                                                                         \
    X(F16)                                                                                         \
    X(BF16) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)        \
        X(IQ2_XXS) X(IQ2_XS) X(IQ2_S) X(IQ3_XXS) X(IQ3_S) X(IQ1_S) X(IQ1_M) X(IQ4_NL) X(IQ4_XS)    \
            X(MXFP4)

#define ENG_CU_FORMAT_FAMILIES(X)                                                                  \
    X(matvec) X(matvec_few) X(experts_up) X(experts_down) X(matmul) X(matmul_experts)

#define ENG_CU_KV_FORMS(X) X(f16) X(f32) X(q8_0) /* order of EngKvType */
#define ENG_CU_KV_FAMILIES(X) X(kv_store)

#define ENG_CU_SINGLE(X)                                                                           \
    X(quantize)                                                                                    \
    X(halve)                                                                                       \
    X(copy_act) X(rms_norm) X(turn) X(glu) X(add) X(rope) X(select_rows) X(route) X(attn_f32) X(attn_tall_f16)    \
        X(attn_wide_f16) X(attn_few_f16) X(attn_tall_q8_0) X(attn_wide_q8_0) X(attn_few_q8_0)      \
        X(attn_merge) X(moe_group) X(moe_combine) X(publish) X(accept) X(topk) X(bench_copy)       \
        X(bench_mma)

#endif
