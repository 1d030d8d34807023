/* The kernels that one rules text can name: those of the CPU and of the GPU, and those of the
 * plug-ins that the text itself names (engine/include/hearth_plugin.h), which stay loaded as long
 * as the registry. Each text has a registry of its own; the system counts who has loaded a library.
 */
#ifndef ENG_PLAN_KERNEL_REGISTRY_H
#define ENG_PLAN_KERNEL_REGISTRY_H

#include "base/err.h"
#include "plan/kernel/kernel.h"

/* What there is without plug-ins. */
typedef struct {
    /* The i-th kernel, and whether it may run here, if there is a GPU for one of its; NULL when
     * there are no more. */
    const EngKernel *(*at)(int i, bool *ret_runs);
    bool gpu;     /* there is */
    char isa[96]; /* instruction sets that may be used, between spaces */
} EngBuiltins;

typedef struct EngRegistry EngRegistry;

EngRegistry *eng_registry_new(const EngBuiltins *builtins);
void eng_registry_free(EngRegistry *registry);

/* Loads the plug-in whose file's name is the first n bytes of `path`, and runs its code: call it
 * with a name that a person gave, no other. ENG_ERR_USAGE, in words that can follow "…: ". */
bool eng_registry_load(EngRegistry *registry, const char *path, size_t n, EngError *err);

/* NULL: none is called by these n bytes. *ret_runs: it may run here. Borrowed. */
const EngKernel *eng_registry_find(const EngRegistry *registry, const char *name, size_t n,
                                   bool *ret_runs);

/* "q4_k.c, q4_k.avx2": those of a type that may run here, as many as there is room for. */
void eng_registry_list(const EngRegistry *registry, EngType type, char *ret, size_t size);

#endif
