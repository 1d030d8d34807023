/* Plans for this machine, or for one like it: what plan/ needs to know of it. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"
#include "cuda/gpu.h"
#include "model.h"
#include "plan/cost.h"
#include "plan/host.h"
#include "plan/plan.h"

/* Where nobody has measured: what memory of two to twelve channels gives to cores, and what a core
 * multiplies with each instruction set (Gop/s), both as usually reached. */
static void estimate_cpu(const EngHost *host, EngPlanSpeeds *speeds)
{
    static const double per_core[ENG_CPU_COUNT] = {
        [ENG_CPU_C] = 10,     [ENG_CPU_AVX2] = 100, [ENG_CPU_AVXVNNI] = 150, [ENG_CPU_AVX512] = 150,
        [ENG_CPU_VNNI] = 300, [ENG_CPU_VBMI] = 300, [ENG_CPU_AMX] = 800};
    EngCpuLevel level;
    if (!eng_cpu_level(&level, NULL)) level = ENG_CPU_C;
    double at_once = ENG_MIN(12.0 * host->cores / host->nodes, host->cores > 16 ? 200 : 50);
    if (speeds->dram_gb_s == 0) speeds->dram_gb_s = at_once * host->nodes;
    if (speeds->cpu_gop_s == 0) speeds->cpu_gop_s = per_core[level] * host->cores;
    if (speeds->disk_gb_s == 0) speeds->disk_gb_s = 2;
}

enum { USUAL = 128 }; /* processors of a GPU that nobody has seen */

/* The slowest of several decides: a token goes through all of them. */
static void estimate_gpus(const EngPlanMachine *m, const EngPlanSettings *want,
                          EngPlanSpeeds *speeds)
{
    for (int g = 0; g < m->n_gpus; g++) {
        EngPlanSpeeds s = want->speeds;
        eng_cost_gpu(m->assumed ? "" : m->gpus[g].name, &s);
        speeds->vram_gb_s = g ? ENG_MIN(speeds->vram_gb_s, s.vram_gb_s) : s.vram_gb_s;
        speeds->gpu_gop_s = g ? ENG_MIN(speeds->gpu_gop_s, s.gpu_gop_s) : s.gpu_gop_s;
        speeds->pcie_gb_s = g ? ENG_MIN(speeds->pcie_gb_s, s.pcie_gb_s) : s.pcie_gb_s;
    }
}

static EngPlanGpu real_gpu(const EngHostGpu *gpu, uint64_t wanted)
{
    EngPlanGpu g = {.vram = gpu->vram_available ? gpu->vram_available : gpu->vram_total,
                    .processors = gpu->processors ? gpu->processors : USUAL};
    if (wanted) g.vram = wanted;
    memcpy(g.name, gpu->name, sizeof g.name);
    return g;
}

static EngPlanGpu assumed_gpu(uint64_t vram)
{
    EngPlanGpu g = {.vram = vram, .processors = USUAL};
    EngPlanSpeeds none = {0};
    snprintf(g.name, sizeof g.name, "%s", eng_cost_gpu("", &none));
    return g;
}

/* A size of VRAM given makes any card behave as one of that size, and stands for one where there is
 * none, unless only what is `here` counts. Rules take cards that they name into use, as far as
 * there are any. */
static bool describe_gpus(const EngHost *host, const EngPlanSettings *want, bool here,
                          EngPlanMachine *m, EngError *err)
{
    int named = ENG_MIN(eng_rules_gpus(want->rules), host->n_gpus);
    int n = want->gpus ? want->gpus : ENG_MAX(named, 1);
    if (want->no_gpu) {
        snprintf(m->reason, sizeof m->reason, "it is switched off");
        return true;
    }
    if (want->gpus < 0 || want->gpus > ENG_MAX_GPUS || (host->n_gpus && n > host->n_gpus))
        return eng_fail(err, ENG_ERR_USAGE,
                        "%d GPUs cannot be used: choose 1 to %d, as many as this machine has.", n,
                        host->n_gpus ? host->n_gpus : ENG_MAX_GPUS);
    m->vram_given = want->vram > 0;
    m->assumed = host->n_gpus == 0;
    if (m->assumed && (!want->vram || here)) {
        m->assumed = false;
        snprintf(m->reason, sizeof m->reason, "%s", host->gpu_reason);
        return true;
    }
    for (int g = 0; g < n; g++)
        m->gpus[g] = m->assumed ? assumed_gpu(want->vram) : real_gpu(&host->gpus[g], want->vram);
    m->n_gpus = n;
    estimate_gpus(m, want, &m->speeds);
    return true;
}

static uint64_t gpu_bytes(const EngGraph *graph, const bool *on_device, int max_tokens,
                          const bool *sends, int processors, uint64_t *ret_matrices)
{
    EngGpuGuests guests = {sends ? ENG_GUEST_SLOT : 0, sends};
    EngGpuBytes bytes = eng_gpu_bytes(graph, on_device, max_tokens, eng_cpu_max_out(max_tokens),
                                      guests, processors);
    *ret_matrices = bytes.matrices;
    return bytes.small + bytes.buffers;
}

/* By format: the CPU's, and whether they may run (eng_probe); then the GPU's. */
static const EngKernel *builtin_kernel(int i, bool *ret_runs)
{
    EngCpuLevel level, most;
    if (!eng_cpu_level(&most, NULL)) most = ENG_CPU_C;
    for (int type = 0, at = 0; type < ENG_TYPE_COUNT; type++) {
        const EngKernel *kernel;
        for (; (kernel = eng_kernel_at(at, &level)) && (int)kernel->type == type; at++) {
            if (i-- > 0) continue;
            *ret_runs = level <= most && eng_cpu_has(level);
            return kernel;
        }
        kernel = eng_cuda_kernel((EngType)type);
        if (!kernel || i-- > 0) continue;
        *ret_runs = true;
        return kernel;
    }
    return NULL;
}

bool eng_kernel_info(int i, const EngHost *host, EngKernelInfo *ret_info)
{
    bool runs;
    const EngKernel *kernel = builtin_kernel(i, &runs);
    if (!kernel) return false;
    runs = runs && (kernel->matmul || host->n_gpus > 0);
    *ret_info = (EngKernelInfo){kernel->name, eng_type_info(kernel->type)->name, runs};
    return true;
}

/* What a model that would be opened again gives back first. */
typedef struct {
    uint64_t vram[ENG_MAX_GPUS], dram;
} Held;

static void give_back(const Held *held, EngHost *host)
{
    host->dram_available = ENG_MIN(host->dram_available + held->dram, host->dram_total);
    for (int g = 0; g < host->n_gpus; g++) {
        EngHostGpu *gpu = &host->gpus[g];
        if (!gpu->vram_available) continue; /* the driver does not tell */
        gpu->vram_available = ENG_MIN(gpu->vram_available + held->vram[g], gpu->vram_total);
    }
}

/* A driver that is not wanted is left alone; without rules nobody asks for what eng_probe adds. */
static bool probe(const EngPlanSettings *want, EngHost *ret_host, EngError *err)
{
    return want->no_gpu && !want->rules ? eng_host_probe(ret_host, err) : eng_probe(ret_host, err);
}

/* `held`: of a model that is here; NULL = for a machine like this one. */
static bool describe(const EngPlanSettings *want, const Held *held, EngPlanMachine *ret,
                     EngError *err)
{
    EngHost host;
    if (!probe(want, &host, err)) return false;
    if (held) give_back(held, &host);
    if (want->nodes < 0 || want->nodes > ENG_MAX_NODES)
        return eng_fail(err, ENG_ERR_USAGE, "%d NUMA nodes cannot be planned for: choose 1 to %d.",
                        want->nodes, ENG_MAX_NODES);
    *ret = (EngPlanMachine){.dram = want->dram ? want->dram : host.dram_available,
                            .nodes = want->nodes ? want->nodes : host.nodes,
                            .threads = host.cores,
                            .speeds = want->speeds,
                            .kernels = {.at = builtin_kernel},
                            .cpu_bytes = eng_cpu_bytes,
                            .gpu_bytes = gpu_bytes};
    memcpy(ret->kernels.isa, host.isa, sizeof host.isa);
    if (!describe_gpus(&host, want, held != NULL, ret, err)) return false;
    ret->kernels.gpu = ret->n_gpus > 0;
    for (int g = 0; held && g < ret->n_gpus; g++)
        if (host.gpus[g].vram_available)
            ret->gpus[g].vram = ENG_MIN(ret->gpus[g].vram, host.gpus[g].vram_available);
    estimate_cpu(&host, &ret->speeds);
    return true;
}

static EngPlan *plan_for(const EngGguf *gguf, const EngPlanSettings *settings, const Held *held,
                         const EngVramLeft *left, EngError *err)
{
    EngPlanSettings want = settings ? *settings : eng_plan_defaults();
    EngPlanMachine machine;
    if (!gguf || !describe(&want, held, &machine, err)) return NULL;
    for (int g = 0; left && g < machine.n_gpus; g++) {
        machine.gpus[g].vram = ENG_MIN(machine.gpus[g].vram, left[g].bytes);
        machine.gpus[g].taken = left[g].taken;
    }
    EngOutline *outline = eng_outline_new(gguf, want.experts, want.defer, err);
    EngPlan *plan = outline ? eng_plan_make(outline, &want, &machine, err) : NULL;
    eng_outline_free(outline);
    return plan;
}

EngPlan *eng_plan_gguf(const EngGguf *gguf, const EngPlanSettings *settings,
                       const EngVramLeft *left, EngError *err)
{
    return plan_for(gguf, settings, NULL, left, err);
}

EngPlan *eng_plan(const EngHeader *headers, size_t n, const EngPlanSettings *settings,
                  EngError *err)
{
    EngGguf *gguf = eng_gguf_open_headers(headers, n, err);
    EngPlan *plan = eng_plan_gguf(gguf, settings, NULL, err);
    eng_gguf_free(gguf);
    return plan;
}

EngPlan *eng_plan_file(const char *path, const EngPlanSettings *settings, EngError *err)
{
    EngGguf *gguf = eng_gguf_open(path, err);
    EngPlan *plan = eng_plan_gguf(gguf, settings, NULL, err);
    eng_gguf_free(gguf);
    return plan;
}

EngPlan *eng_plan_instead(const EngGguf *gguf, const EngPlanSettings *settings,
                          const EngModel *gone, EngError *err)
{
    Held held = {0};
    if (gone) {
        held.dram = eng_model_copied_bytes(gone) + (gone->backend ? gone->backend->bytes : 0);
        for (int g = 0; g < ENG_MAX_GPUS; g++) held.vram[g] = eng_model_gpu_bytes(gone, g);
    }
    return plan_for(gguf, settings, &held, NULL, err);
}

EngPlan *eng_plan_model(const EngModel *model, const EngPlanSettings *settings, EngError *err)
{
    return eng_plan_instead(model->gguf, settings, model, err);
}
