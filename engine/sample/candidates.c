#include "sample/candidates.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/num.h"

#define LANES 16 /* partial results side by side, so that a reduction can be vectorised */
#define BLOCK 64 /* candidates passed over together when even the best of them is out */

/* ---- reductions ------------------------------------------------------------------------------ */

static float largest(const float *x, int n)
{
    float lane[LANES], best = -INFINITY;
    for (int j = 0; j < LANES; j++) lane[j] = -INFINITY;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    for (; i < n; i++) best = x[i] > best ? x[i] : best;
    for (int j = 0; j < LANES; j++) best = lane[j] > best ? lane[j] : best;
    return best;
}

/* exp(x) for x <= 0 within 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, and the Taylor series of
 * exp(r), whose next term is below 6e-9. ln 2 is split in two, so that n * LN2_HIGH is exact. */
static inline float exp_negative(float x)
{
    const float LN2_HIGH = 0x1.62e4p-1f, LN2_LOW = 0x1.7f7d1cp-20f, ROUND = 0x1.8p23f;
    /* Below -87 the result would be subnormal: as good as 0. The least of two integers, as a float
     * comparison here would keep the loop from being vectorised. */
    uint32_t size = eng_f32_bits(x) & 0x7fffffff, most = 0x42ae0000;
    x = -eng_f32_from_bits(size < most ? size : most);
    float n = (x * 1.44269504f + ROUND) - ROUND;
    float r = (x - n * LN2_HIGH) - n * LN2_LOW;
    float e = 1.0f / 5040;
    e = e * r + 1.0f / 720;
    e = e * r + 1.0f / 120;
    e = e * r + 1.0f / 24;
    e = e * r + 1.0f / 6;
    e = e * r + 0.5f;
    e = e * r + 1.0f;
    e = e * r + 1.0f;
    return e * eng_f32_from_bits((uint32_t)((int32_t)n + 127) << 23);
}

void eng_candidates_softmax(EngCandidates *c, float temperature)
{
    float top = largest(c->logit, c->n);
    for (int i = 0; i < c->n; i++) c->weight[i] = exp_negative((c->logit[i] - top) / temperature);
    double lane[LANES] = {0};
    int i = 0;
    for (; i + LANES <= c->n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += (double)c->weight[i + j];
    c->total = 0;
    for (; i < c->n; i++) c->total += (double)c->weight[i];
    for (int j = 0; j < LANES; j++) c->total += lane[j];
}

/* ---- selection ------------------------------------------------------------------------------- */

/* Unsigned numbers in the order of the floats; both zeros are one. */
static inline uint32_t order_key(float f)
{
    uint32_t bits = eng_f32_bits(f + 0.0f);
    return bits ^ (uint32_t)((int32_t)bits >> 31 | (int32_t)0x80000000);
}

/* What one selection looks at: n candidates ranked by `rank`, best first; `weight` NULL counts
 * each as 1; `limit` is what the kept ones must reach together. */
typedef struct {
    const float *rank, *weight;
    double limit;
    double before;  /* weight of the candidates known to rank above the cut */
    int32_t *index; /* candidates on neither side yet, by ascending id; not filled while all are */
    int n;
    double *bins;
} Selection;

/* The key is read one digit at a time, the highest first. */
typedef struct {
    int shift;
    uint32_t mask;
} Digit;

static uint32_t digit_of(Digit d, float rank) { return order_key(rank) >> d.shift & d.mask; }

/* Sums the weights by their key's digit and returns the digit in which the limit is reached: the
 * lowest one in use when rounding leaves all of them short of it. Neighbouring candidates often
 * share a bin: four sums per bin keep one addition from waiting for the last. */
static uint32_t find_digit(Selection *s, Digit d, bool all)
{
    memset(s->bins, 0, sizeof *s->bins * 4 * (d.mask + 1));
    for (int j = 0; j < s->n; j++) {
        int i = all ? j : s->index[j];
        s->bins[4 * digit_of(d, s->rank[i]) + (j & 3)] += s->weight ? (double)s->weight[i] : 1;
    }
    uint32_t lowest = 0;
    double above = s->before; /* weight ranked above what `digit` holds */
    for (uint32_t digit = d.mask + 1; digit-- > 0;) {
        const double *b = s->bins + 4 * digit;
        double sum = (b[0] + b[1]) + (b[2] + b[3]);
        if (sum <= 0) continue;
        lowest = digit;
        s->before = above;
        above += sum;
        if (above >= s->limit) break;
    }
    return lowest;
}

/* The candidates of that digit stay open. Most blocks hold none of them at first. */
static void narrow(Selection *s, Digit d, uint32_t digit, bool all)
{
    int kept = 0;
    for (int from = 0; from < s->n; from += BLOCK) {
        int to = ENG_MIN(from + BLOCK, s->n);
        if (all && digit_of(d, largest(s->rank + from, to - from)) < digit) continue;
        for (int j = from; j < to; j++) {
            int i = all ? j : s->index[j];
            s->index[kept] = i;
            kept += digit_of(d, s->rank[i]) == digit;
        }
    }
    s->n = kept;
}

/* The key at which to cut so that the shortest run of best-ranked candidates reaches the limit.
 * s->index then holds the candidates of exactly that key, s->before what ranks above them. */
static uint32_t find_cut(Selection *s)
{
    static const Digit digits[] = {{21, 2047}, {10, 2047}, {0, 1023}};
    uint32_t cut = 0;
    for (size_t l = 0; l < ENG_LEN(digits); l++) {
        uint32_t digit = find_digit(s, digits[l], l == 0);
        narrow(s, digits[l], digit, l == 0);
        cut |= digit << digits[l].shift;
    }
    return cut;
}

static void keep_best(EngCandidates *c, const float *rank, const float *weight, double limit)
{
    /* A limit of 0 still keeps one. */
    Selection s = {rank, weight, ENG_MAX(limit, DBL_MIN), 0, c->index, c->n, c->bins};
    uint32_t cut = find_cut(&s);
    int equal = 0;
    for (; equal < s.n && s.before < s.limit; equal++)
        s.before += weight ? (double)weight[s.index[equal]] : 1;

    int kept = 0;
    for (int from = 0; from < c->n; from += BLOCK) {
        int to = ENG_MIN(from + BLOCK, c->n);
        if (order_key(largest(rank + from, to - from)) < cut) continue;
        for (int i = from; i < to; i++) {
            uint32_t key = order_key(rank[i]);
            if (key < cut || (key == cut && equal-- <= 0)) continue;
            c->id[kept] = c->id[i];
            c->logit[kept] = c->logit[i];
            kept++;
        }
    }
    c->n = kept;
}

static void drop_below(EngCandidates *c, float least)
{
    int kept = 0;
    for (int from = 0; from < c->n; from += BLOCK) {
        int to = ENG_MIN(from + BLOCK, c->n);
        if (largest(c->logit + from, to - from) < least) continue;
        for (int i = from; i < to; i++) {
            c->id[kept] = c->id[i];
            c->logit[kept] = c->logit[i];
            kept += c->logit[i] >= least;
        }
    }
    c->n = kept;
}

/* ---- steps ----------------------------------------------------------------------------------- */

bool eng_candidates_refuse(EngError *err)
{
    return eng_fail(err, ENG_ERR_REFUSED,
                    "The model computed a value that is not a finite number: its weights are "
                    "damaged. Download the file again.");
}

bool eng_candidates_start(EngCandidates *c, int n, EngError *err)
{
    const uint32_t INF = 0x7f800000, MINUS_INF = 0xff800000;
    uint32_t bad = 0, impossible = 0;
    for (int i = 0; i < n; i++) {
        uint32_t bits = eng_f32_bits(c->logit[i]);
        impossible += bits == MINUS_INF;
        bad += (bits & INF) == INF;
        c->id[i] = i;
    }
    if (bad != impossible) return eng_candidates_refuse(err);
    if (impossible == (uint32_t)n)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "The model ruled out every token: its weights are damaged. Download the "
                        "file again.");
    c->n = n;
    if (impossible) drop_below(c, -FLT_MAX);
    return true;
}

void eng_candidates_top_k(EngCandidates *c, int k)
{
    if (k >= c->n) return;
    /* The k-th largest of the blocks' maxima: k logits at least are no smaller. */
    int n_blocks = c->n / BLOCK;
    if (k < n_blocks) {
        for (int b = 0; b < n_blocks; b++) c->rank[b] = largest(c->logit + b * BLOCK, BLOCK);
        Selection s = {c->rank, NULL, k, 0, c->index, n_blocks, c->bins};
        find_cut(&s);
        drop_below(c, c->rank[s.index[0]]);
    }
    keep_best(c, c->logit, NULL, k);
}

/* Meister et al., "Locally Typical Sampling", 2023: nearest to the entropy first. */
void eng_candidates_typical(EngCandidates *c, float mass)
{
    eng_candidates_softmax(c, 1);
    float top = largest(c->logit, c->n);
    double log_total = log(c->total), entropy = 0;
    for (int i = 0; i < c->n; i++)
        entropy += (double)c->weight[i] / c->total * (log_total - (double)(c->logit[i] - top));
    for (int i = 0; i < c->n; i++)
        c->rank[i] = -(float)fabs(log_total - (double)(c->logit[i] - top) - entropy);
    keep_best(c, c->rank, c->weight, (double)mass * c->total);
}

/* Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020: the token that reaches
 * the mass is the last one kept. */
void eng_candidates_top_p(EngCandidates *c, float mass)
{
    eng_candidates_softmax(c, 1);
    keep_best(c, c->logit, c->weight, (double)mass * c->total);
}

/* Nguyen et al., "Turning Up the Heat: Min-p Sampling", 2024: at least `ratio` times as probable
 * as the most probable token, which in logits is a difference. */
void eng_candidates_min_p(EngCandidates *c, float ratio)
{
    if (ratio > 0) drop_below(c, largest(c->logit, c->n) + logf(ratio));
}

void eng_candidates_greedy(EngCandidates *c)
{
    float top = largest(c->logit, c->n);
    int i = 0;
    while (c->logit[i] != top) i++;
    c->id[0] = c->id[i];
    c->logit[0] = top;
    c->n = 1;
}

int32_t eng_candidates_draw(const EngCandidates *c, double uniform)
{
    double target = uniform * c->total, sum = 0;
    for (int i = 0; i + 1 < c->n; i++) {
        sum += (double)c->weight[i];
        if (sum > target) return c->id[i];
    }
    return c->id[c->n - 1];
}
