/* A model as the plan sees it: its forward pass over addresses behind which there is nothing, and
 * its tensors as parts, each with what it takes and what a token reads of it. Made from a directory
 * of tensors alone. */
#ifndef ENG_PLAN_OUTLINE_H
#define ENG_PLAN_OUTLINE_H

#include "load/gguf.h"
#include "model/arch.h"

/* A tensor, or what is derived from one when a model is opened. */
typedef struct {
    const char *name; /* of the directory given; "" = derived */
    EngPlanKind kind;
    int layer;         /* -1 = none */
    int expert;        /* the one whose matrix this is; -1 = all of the layer's, or none */
    EngType type;      /* that ops multiply with; ENG_TYPE_COUNT = none does */
    uint64_t bytes;    /* that it takes */
    double read;       /* bytes of all its matrices that ops read */
    double products;   /* elements of those: multiply-adds per token */
    uintptr_t address; /* ascending */
} EngPlanPart;

typedef struct {
    EngHparams h;
    EngGraph graph;
    EngArena arena;
    EngVec(EngPlanPart) parts;
    uint64_t bytes; /* of all parts */
    int defer;      /* experts of a token that are computed beside the next layer's attention */
    int *op_parts;  /* [ops] the part that an op multiplies with first; -1 = none */
    uint64_t attention_products; /* and these two: see model/graph.h */
    uint64_t expanded_products, position_products;
} EngOutline;

/* `gguf` need not have data, is not changed and must outlive it. experts, defer: see
 * EngModelSettings. */
EngOutline *eng_outline_new(const EngGguf *gguf, int experts, int defer, EngError *err);
void eng_outline_free(EngOutline *outline);

/* Parts of all weights of an op, at most 4; returns how many. Experts that lie apart: of the first.
 */
int eng_outline_op(const EngOutline *outline, size_t op, int ret_parts[ENG_LINEAR_MAX]);

/* The part in which an address lies that the graph has; -1 = none. */
int eng_outline_part(const EngOutline *outline, const void *address);

#endif
