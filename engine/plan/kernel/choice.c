#include "plan/kernel/choice.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

bool eng_choice_rule(const EngRegistry *registry, const EngPlanPart *part, int line,
                     const char *name, size_t n, EngRuled *ruled, EngError *err)
{
    bool runs = false;
    char list[120];
    int shown = (int)ENG_MIN(n, 40);
    const char *type = eng_type_info(part->type)->name;
    const EngKernel *kernel = eng_registry_find(registry, name, n, &runs);
    if (kernel && ruled->kernel) return true;
    if (kernel && kernel->type == part->type && runs) {
        ruled->kernel = kernel;
        ruled->kernel_line = line;
        return true;
    }
    eng_registry_list(registry, part->type, list, sizeof list);
    if (!kernel)
        return eng_fail(err, ENG_ERR_USAGE,
                        "Line %d of the rules: there is no kernel \"%.*s\": %s has %s, and what "
                        "plug-ins add that are named above.",
                        line, shown, name, type, list);
    if (kernel->type != part->type)
        return eng_fail(err, ENG_ERR_USAGE,
                        "Line %d of the rules: the kernel \"%.*s\" is for %s, and \"%.50s\" is "
                        "%s: that has %s.",
                        line, shown, name, eng_type_info(kernel->type)->name, part->name, type,
                        list);
    if (!kernel->matmul)
        return eng_fail(err, ENG_ERR_USAGE,
                        "Line %d of the rules: the kernel \"%.*s\" is one of the GPU, and there is "
                        "none here: %s has %s.",
                        line, shown, name, type, list);
    return eng_fail(err, ENG_ERR_USAGE,
                    "Line %d of the rules: the kernel \"%.*s\" needs instructions that this "
                    "machine lacks or HEARTH_CPU_MASK forbids: %s has %s.",
                    line, shown, name, type, list);
}

/* What the rules say of a matrix, or of all that lie apart. */
static bool find(const EngOutline *o, const EngRuled *ruled, const EngWeight *w,
                 const EngKernel **ret, EngError *err)
{
    int first = eng_outline_part(o, w->mat_data ? w->mat_data[0] : w->data);
    for (int64_t i = 1; w->mat_data && i < w->mats; i++) {
        int part = eng_outline_part(o, w->mat_data[i]);
        if (ruled[part].kernel == ruled[first].kernel) continue;
        return eng_fail(err, ENG_ERR_USAGE,
                        "Line %d of the rules gives only one of \"%.60s\" and \"%.60s\" its "
                        "kernel: give all experts of a layer one.",
                        ENG_MAX(ruled[part].kernel_line, ruled[first].kernel_line),
                        o->parts.data[first].name, o->parts.data[part].name);
    }
    *ret = ruled[first].kernel;
    return true;
}

EngChoice *eng_choice_new(EngRegistry *registry, const EngOutline *outline, const EngRuled *ruled,
                          EngError *err)
{
    EngChoice *c = eng_alloc0(sizeof *c);
    const EngGraph *g = &outline->graph;
    c->registry = registry;
    c->n = g->ops.n * ENG_LINEAR_MAX;
    c->named = eng_alloc0((c->n + 1) * sizeof *c->named);
    c->kernels = eng_alloc0((c->n + 1) * sizeof *c->kernels);
    for (size_t i = 0; i < g->ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        int n = eng_op_weights(&g->ops.data[i], w);
        for (int j = 0; j < n; j++) {
            size_t at = i * ENG_LINEAR_MAX + (size_t)j;
            if (!find(outline, ruled, w[j], &c->named[at], err)) {
                eng_choice_free(c);
                return NULL;
            }
            if (c->named[at] && c->named[at]->matmul) c->kernels[at] = c->named[at];
        }
    }
    return c;
}

void eng_choice_free(EngChoice *choice)
{
    if (!choice) return;
    eng_registry_free(choice->registry);
    free(choice->named);
    free(choice->kernels);
    free(choice);
}

bool eng_choice_check(const EngChoice *choice, const EngOutline *outline, const EngRuled *ruled,
                      const EngPlace *ops, EngError *err)
{
    for (size_t at = 0; at < choice->n; at++) {
        int parts[ENG_LINEAR_MAX];
        size_t op = at / ENG_LINEAR_MAX;
        const EngKernel *kernel = choice->named[at];
        bool is_there = ops[op].kind == ENG_PLACE_GPU;
        if (!kernel || is_there == !kernel->matmul) continue;
        eng_outline_op(outline, op, parts);
        int part = parts[at % ENG_LINEAR_MAX];
        return eng_fail(err, ENG_ERR_USAGE,
                        "Line %d of the rules: \"%.50s\" %s, and the kernel \"%.40s\" is one of "
                        "the %s: give it device=%s, or leave the kernel out.",
                        ruled[part].kernel_line, outline->parts.data[part].name,
                        is_there ? "lies on the GPU" : "does not lie on the GPU", kernel->name,
                        is_there ? "CPU" : "GPU", is_there ? "cpu" : "gpu0");
    }
    return true;
}

bool eng_plan_kernel(const EngPlan *plan, int i, const char **ret_name, int *ret_matrices)
{
    const EngChoice *c = plan->choice;
    for (size_t at = 0; c && at < c->n; at++) {
        const EngKernel *kernel = c->named[at];
        bool first = kernel != NULL;
        for (size_t j = 0; first && j < at; j++) first = c->named[j] != kernel;
        if (!first || i-- > 0) continue;
        *ret_name = kernel->name;
        *ret_matrices = 0;
        for (size_t j = at; j < c->n; j++) *ret_matrices += c->named[j] == kernel;
        return true;
    }
    return false;
}
