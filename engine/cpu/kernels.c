/* Fills the tables: portable C first, then every rung up to the level. */
#include "cpu/kernels.h"

#include <stdatomic.h>
#include "cpu/families.h"
#include "cpu/x86/ladder.h"

static EngKernels tables[ENG_CPU_COUNT];

static void fill_tables(void)
{
    for (int level = 0; level < ENG_CPU_COUNT; level++) {
        EngKernels *k = &tables[level];
        eng_kernels_dot_float_c(k);
        eng_kernels_dot_legacy_c(k);
        eng_kernels_dot_k_c(k);
        eng_kernels_attn_c(k);
        eng_kernels_elem_c(k);
        eng_ladder_climb(k, (EngCpuLevel)level);
    }
}

const EngKernels *eng_kernels(EngCpuLevel level)
{
    enum { EMPTY, FILLING, FULL };
    static atomic_int state = EMPTY;
    int seen = EMPTY;
    if (atomic_compare_exchange_strong(&state, &seen, FILLING)) {
        fill_tables();
        atomic_store(&state, FULL);
    }
    while (atomic_load(&state) != FULL) {} /* another thread is at it: some hundred stores */
    return &tables[level];
}
