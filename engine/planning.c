/* Plans for this machine, or for one like it: what plan/ needs to know of it. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"
#include "cuda/gpu.h"
#include "model.h"
#include "plan/cost.h"
#include "plan/plan.h"

/* Where nobody has measured: what memory of two to twelve channels gives to cores, and what a core
 * multiplies with each instruction set (Gop/s), both as usually reached. */
static void estimate_cpu(const EngHost *host, EngPlanSpeeds *speeds)
{
    static const double per_core[ENG_CPU_COUNT] = {
        [ENG_CPU_C] = 10,       [ENG_CPU_AVX2] = 100, [ENG_CPU_AVXVNNI] = 150,
        [ENG_CPU_AVX512] = 150, [ENG_CPU_VNNI] = 300, [ENG_CPU_AMX] = 800};
    EngCpuLevel level;
    if (!eng_cpu_level(&level, NULL)) level = ENG_CPU_C;
    double at_once = ENG_MIN(12.0 * host->cores / host->nodes, host->cores > 16 ? 200 : 50);
    if (speeds->dram_gb_s == 0) speeds->dram_gb_s = at_once * host->nodes;
    if (speeds->cpu_gop_s == 0) speeds->cpu_gop_s = per_core[level] * host->cores;
    if (speeds->disk_gb_s == 0) speeds->disk_gb_s = 2;
}

/* A size of VRAM given makes any card behave as one of that size, and stands for one where there is
 * none. */
static void describe_gpu(const EngHost *host, const EngPlanSettings *want, EngPlanMachine *m)
{
    if (want->no_gpu) {
        snprintf(m->reason, sizeof m->reason, "it is switched off");
        return;
    }
    m->vram_given = want->vram > 0;
    if (*host->gpu_name) {
        m->vram = want->vram ? want->vram : host->vram_available;
        snprintf(m->gpu, sizeof m->gpu, "%s", host->gpu_name);
        eng_cost_gpu(host->gpu_name, &m->speeds);
        if (m->vram == 0) m->vram = host->vram_total; /* the driver does not tell */
    } else if (want->vram) {
        m->vram = want->vram;
        m->assumed = true;
        snprintf(m->gpu, sizeof m->gpu, "%s", eng_cost_gpu("", &m->speeds));
    } else {
        snprintf(m->reason, sizeof m->reason, "%s", host->gpu_reason);
    }
}

enum { USUAL = 128 }; /* processors of a GPU that nobody has seen */

static uint64_t gpu_bytes(const EngGraph *graph, const bool *on_device, int max_tokens,
                          int processors, uint64_t *ret_matrices)
{
    EngGpuBytes bytes =
        eng_gpu_bytes(graph, on_device, max_tokens, eng_cpu_max_out(max_tokens), processors);
    *ret_matrices = bytes.matrices;
    return bytes.small + bytes.buffers;
}

static bool describe(const EngPlanSettings *want, EngPlanMachine *ret, EngError *err)
{
    EngHost host;
    if (!eng_probe(&host, err)) return false;
    if (want->nodes < 0 || want->nodes > ENG_MAX_NODES)
        return eng_fail(err, ENG_ERR_USAGE, "%d NUMA nodes cannot be planned for: choose 1 to %d.",
                        want->nodes, ENG_MAX_NODES);
    *ret = (EngPlanMachine){.dram = want->dram ? want->dram : host.dram_available,
                            .nodes = want->nodes ? want->nodes : host.nodes,
                            .threads = host.cores,
                            .speeds = want->speeds,
                            .cpu_bytes = eng_cpu_bytes,
                            .gpu_bytes = gpu_bytes,
                            .sends = false, /* no backend does */
                            .processors = host.gpu_processors ? host.gpu_processors : USUAL};
    describe_gpu(&host, want, ret);
    estimate_cpu(&host, &ret->speeds);
    return true;
}

EngPlan *eng_plan_gguf(const EngGguf *gguf, const EngPlanSettings *settings, uint64_t vram_left,
                       uint64_t taken, EngError *err)
{
    EngPlanSettings want = settings ? *settings : eng_plan_defaults();
    EngPlanMachine machine;
    if (!gguf || !describe(&want, &machine, err)) return NULL;
    machine.vram = ENG_MIN(machine.vram, vram_left);
    machine.taken = taken;
    EngOutline *outline = eng_outline_new(gguf, err);
    EngPlan *plan = outline ? eng_plan_make(outline, &want, &machine, err) : NULL;
    eng_outline_free(outline);
    return plan;
}

EngPlan *eng_plan(const EngHeader *headers, size_t n, const EngPlanSettings *settings,
                  EngError *err)
{
    EngGguf *gguf = eng_gguf_open_headers(headers, n, err);
    EngPlan *plan = eng_plan_gguf(gguf, settings, UINT64_MAX, 0, err);
    eng_gguf_free(gguf);
    return plan;
}

EngPlan *eng_plan_file(const char *path, const EngPlanSettings *settings, EngError *err)
{
    EngGguf *gguf = eng_gguf_open(path, err);
    EngPlan *plan = eng_plan_gguf(gguf, settings, UINT64_MAX, 0, err);
    eng_gguf_free(gguf);
    return plan;
}

EngPlan *eng_plan_model(const EngModel *model, const EngPlanSettings *settings, EngError *err)
{
    return eng_plan_gguf(model->gguf, settings, UINT64_MAX, 0, err);
}
