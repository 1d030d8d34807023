#include "plan/stream/regime.h"

#include <math.h>
#include <string.h>

#include "base/num.h"
#include "plan/cost.h"

static const char *const names[ENG_STREAMINGS] = {"auto", "cpu", "used", "all"};

const char *eng_streaming_name(EngStreaming streaming) { return names[streaming]; }

bool eng_streaming(const char *name, EngStreaming *ret_streaming)
{
    for (int i = 0; i < ENG_STREAMINGS; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret_streaming = (EngStreaming)i;
            return true;
        }
    return false;
}

void eng_regimes_add(EngRegimes *r, const EngOp *op)
{
    const EngOpExperts *e = &op->experts;
    const EngWeight *w[] = {&e->gate, &e->up, &e->down};
    for (size_t i = 0; i < ENG_LEN(w); i++) {
        r->bytes += (double)w[i]->mats * (double)w[i]->rows * (double)w[i]->row_bytes;
        r->products += (double)e->n_used * (double)w[i]->rows * (double)w[i]->cols;
        r->mats += (double)w[i]->mats;
    }
    r->layers++;
    r->share = (double)e->n_used / (double)e->gate.mats;
    if (r->cpu == 0) r->cpu = r->bus = r->gpu = 1;
}

void eng_regimes_beside(EngRegimes *r, const EngOp *op)
{
    const EngWeight *w[ENG_LINEAR_MAX];
    bool experts = op->kind == ENG_OP_EXPERTS;
    int n = op->kind == ENG_OP_EMBED ? 0 : eng_op_weights(op, w);
    for (int i = 0; i < n; i++)
        r->beside += (double)(experts ? op->experts.n_used : w[i]->mats) * (double)w[i]->rows *
                     (double)w[i]->cols;
}

/* What copies of those used cost besides their bytes. A hand-over is what plans count with
 * (cost.c); a copy of its own is assumed, as no card has timed it: it must be enqueued, and the bus
 * asked for its first bytes, some microseconds. Runs of neighbours are as many as begin behind one
 * that is not used, and the first. */
static double waits(const EngRegimes *r, double used)
{
    static const double handover_s = 10e-6, copy_s = 3e-6;
    enum { MATRICES = 3 };
    double runs = r->mats * used * (1 - used) + MATRICES * r->layers;
    return r->layers * handover_s + runs * copy_s;
}

double eng_regime_seconds(const EngRegimes *r, EngStreaming streaming, int tokens)
{
    EngPlanSpeeds s = r->speeds;
    double used = eng_cost_at_work(r->share, tokens), products = r->products * tokens;
    double gop_s = used > 0 ? eng_cost_few(s.cpu_gop_s, tokens * r->share / used) : s.cpu_gop_s;
    EngTime time;
    s.pcie_gb_s *= r->bus, s.gpu_gop_s *= r->gpu;
    /* copied behind what the GPU does anyway */
    double hidden = s.gpu_gop_s > 0 ? 2 * r->beside * tokens / s.gpu_gop_s * s.pcie_gb_s : 0;
    double rest = streaming == ENG_STREAM_USED ? waits(r, used) : 0;
    switch (streaming) {
    case ENG_STREAM_USED: time = eng_cost_sent(&s, r->bytes * used, products, 0); break;
    case ENG_STREAM_ALL:
        time = eng_cost_sent(&s, ENG_MAX(r->bytes - hidden, 0), products, 0);
        break;
    default: time = eng_cost_here(&s, gop_s, r->bytes * used, products, 0); break;
    }
    return eng_time_sum(&time) * (streaming == ENG_STREAM_CPU ? r->cpu : 1) + rest;
}

EngStreaming eng_regime_choose(const EngRegimes *r, int tokens)
{
    if (r->bytes == 0 || r->only != ENG_STREAM_AUTO)
        return r->bytes == 0 ? ENG_STREAM_CPU : r->only;
    double cpu = eng_regime_seconds(r, ENG_STREAM_CPU, tokens);
    double used = eng_regime_seconds(r, ENG_STREAM_USED, tokens);
    double all = eng_regime_seconds(r, ENG_STREAM_ALL, tokens);
    if (r->speeds.pcie_gb_s <= 0 || ENG_MIN(used, all) >= cpu) return ENG_STREAM_CPU;
    return used < all ? ENG_STREAM_USED : ENG_STREAM_ALL;
}

static double factor(double is, double planned)
{
    static const double most = ENG_REGIME_MOST;
    return ENG_MAX(1 / most, ENG_MIN(is / planned, most));
}

void eng_regimes_cpu_took(EngRegimes *r, int tokens, double took)
{
    double predicted = eng_regime_seconds(r, ENG_STREAM_CPU, tokens) / r->cpu;
    if (took > 0 && predicted > 0) r->cpu = factor(took, predicted);
}

void eng_regimes_sent(EngRegimes *r, double gb_s, double gop_s)
{
    const EngPlanSpeeds *s = &r->speeds;
    if (gb_s > 0 && s->pcie_gb_s > 0) r->bus = sqrt(r->bus * factor(gb_s, s->pcie_gb_s));
    if (gop_s > 0 && s->gpu_gop_s > 0) r->gpu = sqrt(r->gpu * factor(gop_s, s->gpu_gop_s));
    r->cpu = sqrt(r->cpu);
}
