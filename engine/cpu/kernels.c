/* Fills the tables: portable C first, then every rung up to the level; and names what is there. */
#include "cpu/kernels.h"

#include <stdatomic.h>
#include "cpu/families.h"
#include "cpu/x86/ladder.h"

static EngKernels tables[ENG_CPU_COUNT];

typedef struct {
    EngKernel kernel; /* matmul NULL: the level has that of a lower one, or none */
    char name[ENG_KERNEL_NAME];
} Named;
static Named named[ENG_TYPE_COUNT][ENG_CPU_COUNT];

static EngCpuLevel lowest_with(EngCpuLevel level, uint32_t type)
{
    EngCpuLevel lowest = ENG_CPU_C;
    while (tables[lowest].matmul[type] != tables[level].matmul[type]) lowest++;
    return lowest;
}

static void name_kernel(EngCpuLevel level, uint32_t type)
{
    Named *one = &named[type][level];
    EngMatmulFn *matmul = tables[level].matmul[type];
    if (!matmul || lowest_with(level, type) != level) return;
    eng_kernel_name((EngType)type, eng_cpu_level_names[level], one->name);
    one->kernel = (EngKernel){one->name, (EngType)type, eng_type_info(type)->act, matmul};
}

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
    for (int level = 0; level < ENG_CPU_COUNT; level++)
        for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++)
            name_kernel((EngCpuLevel)level, type);
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

const EngKernel *eng_kernel(EngCpuLevel level, EngType type)
{
    if (!eng_kernels(level)->matmul[type]) return NULL;
    return &named[type][lowest_with(level, type)].kernel;
}

const EngKernel *eng_kernel_at(int i, EngCpuLevel *ret_level)
{
    eng_kernels(ENG_CPU_C);
    for (int type = 0; type < ENG_TYPE_COUNT; type++)
        for (int level = 0; level < ENG_CPU_COUNT; level++) {
            if (!named[type][level].kernel.matmul || i-- > 0) continue;
            *ret_level = (EngCpuLevel)level;
            return &named[type][level].kernel;
        }
    return NULL;
}
