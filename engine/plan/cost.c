#include "plan/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

static const double handover_s = 10e-6;

static const char *const term_names[ENG_TERMS] = {
    "DRAM reading", "CPU arithmetic", "VRAM reading", "GPU arithmetic",
    "PCIe",         "disk reading",   "hand-overs"};

double eng_time_sum(const EngTime *time)
{
    double sum = 0;
    for (int i = 0; i < ENG_TERMS; i++) sum += time->s[i];
    return sum;
}

const char *eng_time_term(const EngTime *time)
{
    int most = 0;
    for (int i = 1; i < ENG_TERMS; i++)
        if (time->s[i] > time->s[most]) most = i;
    return term_names[most];
}

static void add(EngTime *sum, const EngTime *time)
{
    for (int i = 0; i < ENG_TERMS; i++) sum->s[i] += time->s[i];
}

static double seconds(double amount, double giga) { return giga > 0 ? amount * 1e-9 / giga : 0; }

/* The longer of two, by its name. */
static void add_longer(EngTime *sum, EngTerm a, double a_s, EngTerm b, double b_s)
{
    sum->s[a_s >= b_s ? a : b] += ENG_MAX(a_s, b_s);
}

static void add_gpu(EngTime *sum, const EngPlanSpeeds *s, double read, double products)
{
    add_longer(sum, ENG_TERM_VRAM, seconds(read, s->vram_gb_s), ENG_TERM_GPU,
               seconds(2 * products, s->gpu_gop_s));
}

/* `disk`: bytes of those to read that must come from there. */
static void add_cpu(EngTime *sum, const EngPlanSpeeds *s, double gop_s, double read,
                    double products, double disk)
{
    add_longer(sum, ENG_TERM_DRAM, seconds(read, s->dram_gb_s), ENG_TERM_CPU,
               seconds(2 * products, gop_s));
    sum->s[ENG_TERM_DISK] += seconds(disk, s->disk_gb_s);
}

typedef struct {
    double vram, disk, cpu; /* of a part's bytes; cpu: all that is not in VRAM */
} Shares;

static Shares shares_of(const EngSpread *spread, const EngOutline *o, size_t part)
{
    double bytes = (double)ENG_MAX(o->parts.data[part].bytes, 1);
    Shares s = {(double)spread->vram[part] / bytes, (double)spread->disk[part] / bytes, 0};
    s.cpu = spread->vram[part] < o->parts.data[part].bytes ? 1 - s.vram : 0;
    return s;
}

double eng_cost_at_work(double chosen, double tokens) { return 1 - pow(1 - chosen, tokens); }

static double share_at_work(const EngHparams *h, double tokens)
{
    double experts = h->n_experts;
    return experts > 0 ? eng_cost_at_work(h->n_experts_used / experts, tokens) : 1;
}

/* Tokens that an expert meets which is at work. */
static double met(const EngHparams *h, double tokens)
{
    return tokens * share_at_work(h, 1) / share_at_work(h, tokens);
}

double eng_cost_met(const EngOutline *outline, int tokens)
{
    return outline->h.n_experts > 0 ? met(&outline->h, tokens) : 0;
}

/* A product takes longer when a matrix meets fewer tokens than the 128 that a CPU's speed is
 * measured with: to unpack weights costs as much for one token as for many. Measured of whole
 * EXPERTS ops: from 16 tokens to 32, 64 and 128 Q4_K gains 20, 25 and 30 %, IQ1_S 37, 65 and 80 %;
 * more than 256 are multiplied so many at a time. A token alone has row kernels. */
double eng_cost_few(double gop_s, double tokens)
{
    static const double half = 10, usual = 128;
    return tokens > 1 ? gop_s * (1 + half / usual) / (1 + half / ENG_MIN(tokens, usual)) : gop_s;
}

/* Of a part's kernel. */
static double cpu_gop_s(const EngPlanSpeeds *s, const EngPlanPart *p, double tokens)
{
    const EngPlanKernels *k = s->kernels;
    if (k) return k->product(k->of, eng_type_info(p->type)->name, tokens);
    return p->kind == ENG_PLAN_EXPERTS ? eng_cost_few(s->cpu_gop_s, tokens) : s->cpu_gop_s;
}

/* Of tokens with `positions` before them, in all. */
static void add_attention(EngTime *sum, const EngOutline *o, const EngSpread *spread,
                          const EngPlanSpeeds *s, double positions)
{
    double products = positions * (double)o->attention_products;
    if (spread->gpu_attention)
        sum->s[ENG_TERM_GPU] += seconds(2 * products, s->gpu_gop_s);
    else
        sum->s[ENG_TERM_CPU] +=
            seconds(2 * products, s->kernels ? s->kernels->attention : s->cpu_gop_s);
}

/* Of a layer, what may run side by side: the GPU's attention, its shared expert and experts; the
 * CPU's experts. */
typedef struct {
    EngTime attention, gpu, cpu;
} LayerTime;

static void add_longer_of(EngTime *sum, const EngTime *a, const EngTime *b, double share)
{
    EngTime part = *b;
    for (int i = 0; i < ENG_TERMS; i++) part.s[i] *= share;
    add(sum, eng_time_sum(a) > eng_time_sum(&part) ? a : &part);
}

/* The CPU has a layer's deferred experts until the next layer's attention is done. */
static void add_layers(EngTime *sum, const LayerTime *layers, int n, double deferred)
{
    static const EngTime none;
    for (int i = 0; i < n; i++) {
        add_longer_of(sum, &layers[i].attention, i > 0 ? &layers[i - 1].cpu : &none, deferred);
        add_longer_of(sum, &layers[i].gpu, &layers[i].cpu, i < n - 1 ? 1 - deferred : 1);
    }
}

/* Where a part's time counts. */
static EngTime *time_of(const EngPlanPart *p, LayerTime *layers, bool gpu, EngTime *sum)
{
    bool aside = p->kind == ENG_PLAN_EXPERTS || p->kind == ENG_PLAN_SHARED;
    if (aside) return gpu ? &layers[p->layer].gpu : &layers[p->layer].cpu;
    return gpu && p->kind == ENG_PLAN_ATTENTION && p->layer >= 0 ? &layers[p->layer].attention
                                                                 : sum;
}

EngTime eng_cost_token(const EngOutline *outline, const EngSpread *spread,
                       const EngPlanSpeeds *speeds, double positions, double ret_read[3])
{
    const EngOutline *o = outline;
    int n = o->h.n_layers;
    EngTime sum = {0};
    LayerTime *layers = eng_alloc0((size_t)(n + 1) * sizeof *layers);
    double read[3] = {0};
    for (size_t i = 0; i < o->parts.n; i++) {
        const EngPlanPart *p = &o->parts.data[i];
        if (p->read == 0) continue;
        Shares s = shares_of(spread, o, i);
        double used = p->kind == ENG_PLAN_EXPERTS ? share_at_work(&o->h, 1) : 1;
        double bytes = used * p->read, products = used * p->products;
        add_gpu(time_of(p, layers, true, &sum), speeds, bytes * s.vram, products * s.vram);
        if (s.cpu > 0)
            add_cpu(time_of(p, layers, false, &sum), speeds, cpu_gop_s(speeds, p, 1), bytes * s.cpu,
                    products * s.cpu, bytes * s.disk);
        read[0] += bytes * s.vram;
        read[1] += bytes * ENG_MAX(s.cpu - s.disk, 0);
        read[2] += bytes * s.disk;
    }
    add_layers(&sum, layers, n, (double)o->defer / ENG_MAX(o->h.n_experts_used, 1));
    sum.s[ENG_TERM_HANDOVER] += spread->crossings * handover_s;
    add_attention(&sum, o, spread, speeds, positions);
    free(layers);
    if (ret_read) memcpy(ret_read, read, sizeof read);
    return sum;
}

EngTime eng_cost_here(const EngPlanSpeeds *speeds, double gop_s, double read, double products,
                      double disk)
{
    EngTime here = {0};
    add_cpu(&here, speeds, gop_s, read, products, disk);
    return here;
}

EngTime eng_cost_sent(const EngPlanSpeeds *speeds, double read, double products, double disk)
{
    EngTime sent = {0};
    add_longer(&sent, ENG_TERM_PCIE, seconds(read, speeds->pcie_gb_s), ENG_TERM_GPU,
               seconds(2 * products, speeds->gpu_gop_s));
    sent.s[ENG_TERM_DISK] += seconds(disk, speeds->disk_gb_s);
    return sent;
}

/* What is outside of VRAM: multiplied where it is, or sent. */
static void add_outside(EngTime *sum, const EngPlanSpeeds *s, bool may_send, double gop_s,
                        double read, double products, double disk)
{
    EngTime here = eng_cost_here(s, gop_s, read, products, disk);
    EngTime sent = eng_cost_sent(s, read, products, disk);
    bool send = may_send && s->pcie_gb_s > 0 && eng_time_sum(&sent) < eng_time_sum(&here);
    add(sum, send ? &sent : &here);
}

static bool may_send(const EngSpread *spread, size_t part)
{
    return spread->may_send && !(spread->stays && spread->stays[part]);
}

/* The head is asked for the last token of all. */
static EngTime chunk(const EngOutline *o, const EngSpread *spread, const EngPlanSpeeds *speeds,
                     double tokens, bool last)
{
    EngTime sum = {0};
    for (size_t i = 0; i < o->parts.n; i++) {
        const EngPlanPart *p = &o->parts.data[i];
        bool experts = p->kind == ENG_PLAN_EXPERTS, head = p->kind == ENG_PLAN_HEAD;
        if (p->read == 0 || (head && !last)) continue;
        Shares s = shares_of(spread, o, i);
        double share = experts ? share_at_work(&o->h, tokens) : 1;
        double each = head ? 1 : experts ? met(&o->h, tokens) : tokens;
        double read = p->read * share, products = p->products * share * each;
        add_gpu(&sum, speeds, read * s.vram, products * s.vram);
        if (s.cpu > 0)
            add_outside(&sum, speeds, experts && may_send(spread, i), cpu_gop_s(speeds, p, each),
                        read * s.cpu, products * s.cpu, read * s.disk);
    }
    sum.s[ENG_TERM_HANDOVER] += spread->crossings * handover_s;
    return sum;
}

double eng_cost_seen(int tokens, int depth) { return depth + tokens / 2.0 + 32; }

/* The CPU's attention over a prompt is in 16 bits, half as many products at once as of bytes. */
enum { WIDE = 2 };

static double attention_gop_s(const EngPlanSpeeds *s)
{
    return s->kernels ? s->kernels->attention : s->cpu_gop_s / WIDE;
}

double eng_cost_attention(const EngOutline *outline, const EngPlanSpeeds *speeds, int tokens,
                          int depth)
{
    uint64_t each = ENG_MIN(outline->attention_products, outline->expanded_products);
    return seconds(2 * tokens * eng_cost_seen(tokens, depth) * (double)each,
                   attention_gop_s(speeds));
}

/* Products of a prompt's attention. Over latents each chunk, 2048 tokens of it at most at once,
 * expands all of its past anew, and does without the products of the absorbed form's matrices; or
 * it keeps to that form (cpu/op_attn_expanded.c). */
static double cpu_attention(const EngOutline *o, int tokens, int depth, int batch)
{
    enum { AT_ONCE = 2048 };
    double sum = 0;
    for (int at = 0; at < tokens; at += batch) {
        int n = ENG_MIN(batch, tokens - at), times = (n + AT_ONCE - 1) / AT_ONCE;
        double seen = n * eng_cost_seen(n, depth + at);
        double made = (double)times * (depth + at + n) - (double)n / WIDE;
        double absorbed = seen * (double)o->attention_products;
        double expanded = seen * (double)o->expanded_products + made * (double)o->position_products;
        sum += ENG_MIN(absorbed, expanded);
    }
    return sum;
}

EngTime eng_cost_prompt(const EngOutline *outline, const EngSpread *spread,
                        const EngPlanSpeeds *speeds, int tokens, int depth, int batch)
{
    int whole = (tokens - 1) / batch;
    EngTime sum = {0}, last = chunk(outline, spread, speeds, tokens - whole * batch, true);
    if (whole) sum = chunk(outline, spread, speeds, batch, false);
    for (int i = 0; i < ENG_TERMS; i++) sum.s[i] *= whole;
    add(&sum, &last);
    if (spread->gpu_attention)
        add_attention(&sum, outline, spread, speeds, tokens * eng_cost_seen(tokens, depth));
    else
        sum.s[ENG_TERM_CPU] +=
            seconds(2 * cpu_attention(outline, tokens, depth, batch), attention_gop_s(speeds));
    return sum;
}

/* Peaks by the makers: memory in GB/s, dense half precision with float sums in Top/s, bus in GB/s
 * (PCIe 3, 4, 5 at 16 lanes). Longer names first. */
static const struct {
    const char *name;
    double vram, tensor, pcie;
} cards[] = {
    {"RTX 5090", 1792, 210, 63}, {"RTX 5080", 960, 113, 63},  {"RTX 4090", 1008, 165, 31.5},
    {"RTX 4080", 717, 97, 31.5}, {"RTX 4070", 504, 58, 31.5}, {"RTX 4060", 272, 30, 15.8},
    {"RTX 3090", 936, 71, 31.5}, {"RTX 3080", 760, 60, 31.5}, {"RTX 3070", 448, 41, 31.5},
    {"RTX 3060", 360, 26, 31.5}, {"RTX 2080", 448, 40, 15.8}, {"H200", 4800, 989, 63},
    {"H100", 3350, 989, 63},     {"A100", 1555, 312, 31.5},   {"L40", 864, 181, 31.5},
    {"A6000", 768, 155, 31.5},   {"T4", 320, 65, 15.8},
};

const char *eng_cost_gpu(const char *name, EngPlanSpeeds *speeds)
{
    size_t known = ENG_LEN(cards), usual = 2;
    for (size_t i = 0; i < ENG_LEN(cards) && known == ENG_LEN(cards); i++)
        if (strstr(name, cards[i].name)) known = i;
    size_t at = known < ENG_LEN(cards) ? known : *name ? 9 : usual;
    /* what kernels reach of the peaks */
    if (speeds->vram_gb_s == 0) speeds->vram_gb_s = 0.8 * cards[at].vram;
    if (speeds->gpu_gop_s == 0) speeds->gpu_gop_s = 0.5 * 1000 * cards[at].tensor;
    if (speeds->pcie_gb_s == 0) speeds->pcie_gb_s = 0.8 * cards[at].pcie;
    return cards[at].name;
}
