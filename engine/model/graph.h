/* A model's forward pass: ops in order over numbered buffers, built once when the model is opened
 * and shared, read-only, by every session. */
#ifndef ENG_MODEL_GRAPH_H
#define ENG_MODEL_GRAPH_H

#include "model/op.h"

typedef struct {
    EngVec(EngOp) ops;
    EngVec(int) widths; /* of each buffer, in floats per token */
    int logits;         /* buffer that holds the result, width n_vocab */
    /* What attention needs of the KV cache. */
    int n_layers;
    int k_width, v_width; /* numbers per token and layer; v_width 0 = values inside the keys */
} EngGraph;

void eng_graph_clear(EngGraph *graph);

/* Multiply-adds of a token with each position that it sees, in all layers. */
uint64_t eng_graph_attention_products(const EngGraph *graph);

/* The same where attention that can be (EngOpAttn.absorbed) is computed in its expanded form;
 * ret_position: those that make a position's keys and values for it. */
uint64_t eng_graph_expanded_products(const EngGraph *graph, uint64_t *ret_position);

/* The ROUTE that chooses for the EXPERTS op; -1 = there is none. */
int eng_graph_router(const EngGraph *graph, int op);

/* Whether an op has more of the experts that the op before it has, of the same router's choice:
 * those that are deferred (arch.h). */
bool eng_graph_continues(const EngGraph *graph, int op);

/* The first op from `op` on that a run may begin with, or the number of ops: an attention's HEADS
 * (EngOpAttn.absorbed) stay with it. */
int eng_graph_cut(const EngGraph *graph, int op);

/* A new buffer of `heads` groups of n, all of it as a view. */
EngView eng_graph_buffer(EngGraph *graph, int heads, int n);

/* Part of each group: n numbers from column `from` of the group on. */
EngView eng_view_part(EngView view, int from, int n);
/* The same columns as one group, or as other groups. */
EngView eng_view_flat(EngView view);

void eng_graph_embed(EngGraph *g, EngView dst, EngWeight table);
void eng_graph_rope_table(EngGraph *g, EngView dst, const float *freq, float mscale);
void eng_graph_norm(EngGraph *g, EngView dst, EngView src, const float *weight, float eps);
/* Adds a matrix to the LINEAR op that came last if that has the same src and `add`, so that one
 * quantization and one barrier serve all of them; otherwise appends a new op. An absent weight
 * (data NULL) is skipped. */
void eng_graph_linear(EngGraph *g, EngView dst, EngView src, EngWeight w, const float *bias,
                      bool add);
void eng_graph_heads(EngGraph *g, EngView dst, EngView src, EngWeight w);
void eng_graph_rope(EngGraph *g, EngView dst, EngView src, EngView table, int dims, bool neox);
void eng_graph_kv(EngGraph *g, int layer, EngView key, const EngView *value);
void eng_graph_attn(EngGraph *g, EngView dst, EngView q, EngOpAttn attn);
void eng_graph_glu(EngGraph *g, EngView dst, EngView gate, EngView up);
void eng_graph_route(EngGraph *g, EngView ids, EngView logits, EngOpRoute route);
void eng_graph_experts(EngGraph *g, EngView dst, EngView src, EngOpExperts experts);
void eng_graph_add(EngGraph *g, EngView dst, EngView src);
void eng_graph_select(EngGraph *g, EngView dst, EngView src);

#endif
