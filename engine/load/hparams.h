/* The numbers that describe a model, read from the key-values of its file and checked once: after
 * eng_hparams_read every field is in range and consistent with the others, so that sizes computed
 * from them cannot overflow. Key names: the GGUF specification; meaning: the reference
 * implementations named at each family (model/arch/). */
#ifndef ENG_LOAD_HPARAMS_H
#define ENG_LOAD_HPARAMS_H

#include "load/gguf.h"

typedef enum { ENG_ROPE_PLAIN, ENG_ROPE_LINEAR, ENG_ROPE_YARN } EngRopeScaling;
typedef enum { ENG_GATE_SOFTMAX = 1, ENG_GATE_SIGMOID = 2 } EngGate; /* as numbered in the file */

typedef struct {
    int n_vocab;        /* rows of the token table */
    int n_layers;       /* without the extra layers of multi-token prediction */
    int n_layers_extra; /* those: present in the file, not run */
    int n_embd;
    int n_ff; /* of dense layers */
    int n_heads, n_heads_kv;
    int head_k, head_v;  /* numbers per head; MLA: of the compressed form (see mla_*) */
    int context_trained; /* tokens; 0 = not stated */
    float norm_eps;

    int rope_dims; /* numbers of a head that turn */
    float rope_base;
    EngRopeScaling rope_scaling;
    float rope_factor; /* context extension, > 0 */
    int rope_context;  /* context before the extension (YaRN) */
    float yarn_beta_fast, yarn_beta_slow;
    float yarn_attn_factor; /* multiplies YaRN's own factor on cos and sin */
    float yarn_log_mul;     /* deepseek2: 0.1 * mscale_all_dim; 0 = not stated */

    int n_experts, n_experts_used, n_experts_shared;
    int n_ff_expert, n_ff_shared; /* n_ff_shared: all shared experts together */
    int n_layers_dense;           /* leading layers without experts */
    EngGate gate;
    bool gate_stated;  /* the file names its gate */
    bool weights_norm; /* chosen weights are divided by their sum */
    bool weights_norm_stated;
    float weights_scale;         /* then multiplied by this */
    int n_groups, n_groups_used; /* group-limited choice; 0 = not stated */

    int q_lora, kv_lora;        /* MLA ranks; q_lora 0 = a plain query projection */
    int mla_head_k, mla_head_v; /* numbers per uncompressed head; 0 = the file's old form */
} EngHparams;

bool eng_hparams_read(const EngGguf *gguf, EngHparams *ret_hparams, EngError *err);

#endif
