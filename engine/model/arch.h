/* Model families. One family = one file in arch/ = one readable page of model mathematics: it binds
 * the file's tensors and writes the forward pass as ops.
 *
 * Adding a family: a file arch/<family>.c with a build function, one row in arch.c's table, vectors
 * from the reference implementation in tests/oracle. */
#ifndef ENG_MODEL_ARCH_H
#define ENG_MODEL_ARCH_H

#include "model/graph.h"

typedef struct EngDerived EngDerived; /* large tables derived at open, freed with the model */

/* What a build function works with. */
typedef struct {
    EngHparams h; /* a family may fill in what its files leave out */
    EngBinder b;
    EngGraph *g;
    EngArena *arena;
    EngDerived *derived;
    /* Not 0: a graph of shapes alone. The next address for what is derived, behind which there is
     * no memory, as behind those of the tensors. */
    uintptr_t outline;
    int experts, defer; /* as EngModelSettings has them */
    bool deferred;      /* a layer's experts wait to be added: eng_arch_experts */
    EngError *err;
} EngBuild;

typedef struct {
    const char *name; /* general.architecture */
    /* Checks what is particular to the family, binds, writes ops; sets g's KV widths. */
    bool (*build)(EngBuild *build);
} EngArch;

/* Reads the numbers of `gguf`, binds its tensors, writes the ops of its family into build->g. Give
 * it g, arena, err, outline, experts and defer; `derived` is the caller's to free, whatever comes
 * back. */
bool eng_arch_build(EngBuild *build, const EngGguf *gguf);

const EngArch *eng_arch_find(const char *name);    /* NULL = unknown family */
void eng_arch_names(char *ret_names, size_t size); /* "deepseek2, llama, …" for messages */

bool eng_arch_build_deepseek2(EngBuild *build);
bool eng_arch_build_llama(EngBuild *build);
bool eng_arch_build_qwen3(EngBuild *build);
bool eng_arch_build_qwen3moe(EngBuild *build);

/* ---- what families share --------------------------------------------------------------------- */

/* The residual stream and what surrounds the layers. */
typedef struct {
    EngView x;          /* residual stream, n_embd */
    EngView norm;       /* normed copy, n_embd */
    EngView rope_table; /* rope_dims */
    EngView gate, up;   /* of the feed-forward part */
    EngView router, ids, weights;
    EngView deferred; /* the sum of experts that the next layer adds */
} EngTrunk;

/* Token table, rope table. `ff`: widest dense feed-forward part. */
EngTrunk eng_arch_begin(EngBuild *build, int ff);
/* Rows wanted, final norm, head (the token table when the file has no output.weight). */
bool eng_arch_end(EngBuild *build, const EngTrunk *trunk);

/* x += down(silu(gate norm) * up norm), of the named tensors ("ffn" → blk.N.ffn_gate.weight …;
 * suffix "" or "_shexp"). */
void eng_arch_ffn(EngBuild *build, const EngTrunk *t, int layer, const char *suffix, int ff);
/* x += routed experts of norm, then the shared one, ff_shared wide (0: there is none). `route` has
 * everything but the views.
 *
 * Deferred (KTransformers, SOSP 2025, https://doi.org/10.1145/3731569.3764843): of the chosen
 * experts those of least weight are computed behind the others, into a sum that the next layer adds
 * together with its own experts. Nobody waits for them before that layer's attention. */
void eng_arch_experts(EngBuild *build, const EngTrunk *t, int layer, EngOpRoute route,
                      int ff_shared);

/* Grouped-query attention: buffers shared by all layers, then per layer over norm, with optional
 * biases and per-head norms of q and k; x += output. `neox`: see EngOpRope. */
typedef struct {
    EngView q, k, v, out;
} EngGqa;
EngGqa eng_arch_gqa_begin(EngBuild *build);
void eng_arch_gqa(EngBuild *build, const EngTrunk *t, const EngGqa *gqa, int layer, bool qk_norm,
                  bool neox);

/* Memory of `n` bytes that lives as long as the model; NULL with the error set. Of an outline: an
 * address. */
void *eng_arch_derive(EngBuild *build, size_t n, const char *what);
void eng_derived_free(EngDerived *derived);
size_t eng_derived_bytes(const EngDerived *derived);

#endif
