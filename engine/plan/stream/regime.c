#include "plan/stream/regime.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

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
    }
    r->share = (double)e->n_used / (double)e->gate.mats;
    if (r->cpu == 0) r->cpu = 1;
}

static double seconds(double amount, double giga) { return giga > 0 ? amount * 1e-9 / giga : 0; }

/* Where products take longer than reading, these do. */
static double longer(const EngRegimes *r, int tokens, double bytes, double gb_s, double gop_s)
{
    return ENG_MAX(seconds(bytes, gb_s), seconds(2 * r->products * tokens, gop_s));
}

/* Of the experts, those that so many tokens are sent to by chance. */
static double used(const EngRegimes *r, int tokens) { return 1 - pow(1 - r->share, tokens); }

double eng_regime_seconds(const EngRegimes *r, EngStreaming streaming, int tokens)
{
    const EngPlanSpeeds *s = &r->speeds;
    double bytes = r->bytes * used(r, tokens);
    switch (streaming) {
    case ENG_STREAM_USED: return longer(r, tokens, bytes, s->pcie_gb_s, s->gpu_gop_s);
    case ENG_STREAM_ALL: return longer(r, tokens, r->bytes, s->pcie_gb_s, s->gpu_gop_s);
    default: return r->cpu * longer(r, tokens, bytes, s->dram_gb_s, s->cpu_gop_s);
    }
}

EngStreaming eng_regime_choose(const EngRegimes *r, int tokens)
{
    static const double nearly = 0.9; /* the bus rests for more than the tenth that it would save */
    if (r->bytes == 0 || r->only != ENG_STREAM_AUTO)
        return r->bytes == 0 ? ENG_STREAM_CPU : r->only;
    EngStreaming sent = used(r, tokens) < nearly ? ENG_STREAM_USED : ENG_STREAM_ALL;
    bool gains = r->speeds.pcie_gb_s > 0 && eng_regime_seconds(r, sent, tokens) <
                                                eng_regime_seconds(r, ENG_STREAM_CPU, tokens);
    return gains ? sent : ENG_STREAM_CPU;
}

void eng_regimes_cpu_took(EngRegimes *r, int tokens, double took)
{
    double predicted = eng_regime_seconds(r, ENG_STREAM_CPU, tokens) / r->cpu;
    if (took > 0 && predicted > 0) r->cpu = took / predicted;
}

void eng_regimes_copied(EngRegimes *r, double gb_s)
{
    if (gb_s > 0) r->speeds.pcie_gb_s = gb_s;
    r->cpu = sqrt(r->cpu);
}
