/* Which kernel multiplies each matrix of a graph, where rules say so: found once, when a model is
 * opened; what computes then only follows pointers. That the GPU multiplies with its only kernel
 * for a format, rules can demand: the op must then be its. */
#ifndef ENG_PLAN_KERNEL_CHOICE_H
#define ENG_PLAN_KERNEL_CHOICE_H

#include "plan/kernel/registry.h"
#include "plan/rules.h"

typedef struct EngChoice {
    EngRegistry *registry;     /* keeps the plug-ins loaded */
    size_t n;                  /* ops * ENG_LINEAR_MAX */
    const EngKernel **named;   /* [n] in the order of eng_op_weights; NULL = no rule names one */
    const EngKernel **kernels; /* [n] those of the CPU alone, which has its own if a GPU is lost */
} EngChoice;

/* Puts the kernel that is called by these bytes into `ruled` of a part that ops multiply with, if
 * it has none. ENG_ERR_USAGE with the line when there is none, it is of another format, or it may
 * not run here. */
bool eng_choice_rule(const EngRegistry *registry, const EngPlanPart *part, int line,
                     const char *name, size_t n, EngRuled *ruled, EngError *err);

/* By what rules say of the outline's parts: ruled[parts]. Takes over `registry`, also when it fails
 * because experts of one layer differ. */
EngChoice *eng_choice_new(EngRegistry *registry, const EngOutline *outline, const EngRuled *ruled,
                          EngError *err);
void eng_choice_free(EngChoice *choice);

/* False when an op does not compute where the kernel would that is chosen for it. */
bool eng_choice_check(const EngChoice *choice, const EngOutline *outline, const EngRuled *ruled,
                      const EngPlace *ops, EngError *err);

#endif
