/* Which experts a token goes to (engine/cpu/op_route.c is the specification: the same experts in
 * the same order), and tokens put together by expert for prefill. */
#include "common.cuh"

#define LOWEST (-3.402823466e+38f) /* FLT_MAX */

/* What is chosen among: number lane + 32 j of n in slot j of its lane, as a key that is larger for
 * larger numbers and 0 for NaN. Registers: a choice then waits for no memory. */
template <int EACH> struct Picks {
    uint32_t key[EACH];
    uint32_t left; /* slots that are there and not yet taken */
    bool nan;      /* some number is NaN */

    __device__ __forceinline__ void fill(const float *x, const uint8_t *gone, int n)
    {
        left = 0;
        bool mine = false;
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            int i = (int)threadIdx.x + WARP * j;
            if (i < n && !(gone && gone[i])) left |= 1u << j;
            float number = i < n ? x[i] + 0.0f : 0; /* -0 becomes 0 */
            uint32_t bits = __float_as_uint(number);
            key[j] = isnan(number) ? 0 : bits & 0x80000000u ? ~bits : bits | 0x80000000u;
            mine |= isnan(number);
        }
        nan = __any_sync(FULL_WARP, mine);
    }

    /* Takes the best, for all lanes: the lower index wins a tie. A NaN is never better than another
     * number, and none is better than it when it comes first. -1: all are taken. */
    __device__ __forceinline__ int take()
    {
        int lane = (int)threadIdx.x, none = WARP * EACH, at = none;
        uint32_t most = 0;
#pragma unroll
        for (int j = 0; j < EACH; j++)
            if (left >> j & 1 && key[j] > most) at = lane + WARP * j, most = key[j];
        uint32_t best = warp_max_unsigned(most);
        int id = (int)warp_min_unsigned((uint32_t)(most == best ? at : none));
        if (nan || id == none) {
            uint32_t slot = left & (0u - left); /* the lowest, as a bit */
            int first = (int)warp_min_unsigned(
                (uint32_t)(left ? lane + WARP * (31 - __clz((int)slot)) : none));
            bool is = false;
#pragma unroll
            for (int j = 0; j < EACH; j++) is |= slot >> j & 1 && key[j] == 0;
            bool mine = is && left && lane == first % WARP;
            if (first == none) return -1;
            if (__any_sync(FULL_WARP, mine)) id = first;
        }
        if (lane == id % WARP) left &= ~(1u << id / WARP);
        return id;
    }
};

/* Only experts of the best groups stand. Scores of a group lie in one bank of every lane that walks
 * over its own, so each begins elsewhere; the two largest do not depend on the order. */
template <int EACH>
ENG_DEVICE void drop_groups(const EngCuRoute &a, const float *choice, float *score, uint8_t *chosen,
                            uint8_t *gone)
{
    int lane = (int)threadIdx.x, n = a.logits.n, size = n / a.n_groups;
    for (int g = lane; g < a.n_groups; g += WARP) {
        float first = LOWEST, second = LOWEST;
        for (int i = 0; i < size; i++) {
            float x = choice[g * size + (i + lane) % size];
            if (x > first) {
                second = first;
                first = x;
            } else if (x > second) {
                second = x;
            }
        }
        score[g] = a.group_top2 && size > 1 ? first + second : first;
        chosen[g] = 0;
    }
    __syncwarp();
    Picks<EACH> groups;
    groups.fill(score, NULL, a.n_groups);
    for (int i = 0; i < a.n_groups_used; i++) {
        int g = groups.take();
        if (lane == 0) chosen[g] = 1;
    }
    __syncwarp();
    for (int i = lane; i < n; i += WARP) gone[i] = !chosen[i / size];
}

ENG_DEVICE void gate_scores(const EngCuRoute &a, const float *x, float *scores)
{
    int lane = (int)threadIdx.x, n = a.logits.n;
    if (a.sigmoid) {
        for (int i = lane; i < n; i += WARP) scores[i] = 1.0f / (1.0f + expf(-x[i]));
        return;
    }
    float most = -INFINITY, sum = 0;
    for (int i = lane; i < n; i += WARP) most = fmaxf(most, x[i]);
    most = warp_max(most);
    for (int i = lane; i < n; i += WARP) sum += scores[i] = expf(x[i] - most);
    sum = warp_sum(sum);
    for (int i = lane; i < n; i += WARP) scores[i] /= sum;
}

template <int EACH>
ENG_DEVICE void choose(const EngCuRoute &a, const float *scores, const float *choice,
                       const uint8_t *gone, int32_t *ids, float *weights)
{
    int lane = (int)threadIdx.x;
    float sum = 0, mine = 0;
    Picks<EACH> picks;
    picks.fill(choice, gone, a.logits.n);
    for (int k = 0; k < a.n_used; k++) {
        int id = picks.take();
        float weight = id < 0 ? 0.0f : scores[id];
        sum += weight;
        if (lane == k % WARP) mine = weight;
        if (lane == 0) ids[k] = id;
        if (k % WARP < WARP - 1 && k < a.n_used - 1) continue;
        if (lane <= k % WARP) weights[k / WARP * WARP + lane] = mine;
    }
    for (int k = lane; k < a.n_used; k += WARP)
        weights[k] = (a.norm ? weights[k] / (sum + 1e-20f) : weights[k]) * a.scale;
}

ENG_DEVICE bool weighs_more(float a, float b) { return isnan(a) ? !isnan(b) : a > b; }

/* A number's place is how many come before it: all at once, for n is small. `was`, `of`: [n]. */
ENG_DEVICE void sort_by_weight(int32_t *ids, float *weights, int n, float *was, int32_t *of)
{
    int lane = (int)threadIdx.x;
    __syncwarp();
    for (int k = lane; k < n; k += WARP) was[k] = weights[k], of[k] = ids[k];
    __syncwarp();
    for (int k = lane; k < n; k += WARP) {
        int place = 0;
        for (int j = 0; j < n; j++)
            place += weighs_more(was[j], was[k]) || (j < k && !weighs_more(was[k], was[j]));
        ids[place] = of[k], weights[place] = was[k];
    }
}

template <int EACH> ENG_DEVICE void route_row(const EngCuRoute &a, float *scores)
{
    int lane = (int)threadIdx.x, n = a.logits.n;
    size_t row = blockIdx.x;
    float *choice = scores + n, *groups = choice + n;
    uint8_t *gone = (uint8_t *)(groups + n), *chosen = gone + n;
    gate_scores(a, a.logits.data + row * a.logits.row, scores);
    for (int i = lane; i < n; i += WARP) choice[i] = scores[i] + (a.bias ? a.bias[i] : 0.0f);
    __syncwarp();
    bool grouped = a.n_groups > 1;
    if (grouped) drop_groups<EACH>(a, choice, groups, chosen, gone);
    __syncwarp();
    int32_t *ids = (int32_t *)a.ids.data + row * a.ids.row;
    float *weights = a.weights.data + row * a.weights.row;
    choose<EACH>(a, scores, choice, grouped ? gone : NULL, ids, weights);
    if (a.by_weight) sort_by_weight(ids, weights, a.n_used, choice, (int32_t *)groups);
}

/* A warp per token: choosing is a chain of maxima, and a warp is the fastest way to the next.
 * Shared: floats [3][experts] scores, choice, groups' scores; bytes [2][experts] gone, chosen. */
ENG_KERNEL_BOUNDS(32, 1, route, EngCuRoute a)
{
    DYN_SHARED(float, scores);
    if (a.logits.n <= 8 * WARP)
        route_row<8>(a, scores);
    else
        route_row<ENG_CU_ROUTE_MOST / WARP>(a, scores);
}

/* ---- tokens by expert ---- */

enum { GROUP_THREADS = 256, GROUP_WARPS = GROUP_THREADS / WARP };

ENG_DEVICE int id_of(const EngCuChosen &c, int pair)
{
    return c.ids[(size_t)(pair / c.n_used) * c.ids_row + pair % c.n_used];
}

/* A block per expert, none of which needs another: it counts the ids below its own, which is where
 * its slots begin, and then gives its own pairs their slots in order. Every warp has a stretch of
 * the pairs, so that a pair's place is what earlier warps counted plus the earlier lanes of a
 * ballot. Reads pairs * experts ids, out of L2. */
ENG_KERNEL_BOUNDS(256, 1, moe_group, EngCuMoe a)
{
    __shared__ int below[GROUP_WARPS], own[GROUP_WARPS];
    const EngCuSlots &s = a.slots;
    int expert = (int)blockIdx.x, warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    int pairs = a.tokens * a.chosen.n_used;
    int rounds = (pairs + GROUP_THREADS - 1) / GROUP_THREADS, from = warp * rounds * WARP;
    int n_below = 0, n_own = 0;
    for (int i = 0; i < rounds; i++) {
        int pair = from + i * WARP + lane, id = pair < pairs ? id_of(a.chosen, pair) : -1;
        n_below += __popc(__ballot_sync(FULL_WARP, id >= 0 && id < expert));
        n_own += __popc(__ballot_sync(FULL_WARP, id == expert));
        if (expert == 0 && pair < pairs && id < 0) s.slot[pair] = -1;
    }
    if (lane == 0) below[warp] = n_below, own[warp] = n_own;
    __syncthreads();
    int first = 0, slot = 0, all = 0;
    for (int w = 0; w < GROUP_WARPS; w++) {
        first += below[w];
        slot += w < warp ? own[w] : 0;
        all += own[w];
    }
    if (threadIdx.x == 0) {
        s.first[expert] = first;
        if (expert == s.experts - 1) s.first[s.experts] = first + all;
    }
    slot += first;
    for (int i = 0; i < rounds; i++) {
        int pair = from + i * WARP + lane, id = pair < pairs ? id_of(a.chosen, pair) : -1;
        unsigned mine = __ballot_sync(FULL_WARP, id == expert);
        if (id == expert) {
            int at = slot + __popc(mine & ((1u << lane) - 1));
            s.token[at] = pair / a.chosen.n_used;
            s.slot[pair] = at;
        }
        slot += __popc(mine);
    }
}

/* Blocks in x walk over a row's numbers, in y over the tokens. */
ENG_KERNEL(moe_combine, EngCuMoe a)
{
    int step = (int)(gridDim.x * blockDim.x), n = a.dst.n;
    for (int t = (int)blockIdx.y; t < a.tokens; t += (int)gridDim.y) {
        const int32_t *slot = a.slots.slot + (size_t)t * a.slot_row;
        const float *weight = a.chosen.weights + (size_t)t * a.chosen.weights_row;
        float *y = a.dst.data + (size_t)t * a.dst.row;
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += step) {
            float sum = 0;
            for (int k = 0; k < a.chosen.n_used; k++)
                if (slot[k] >= 0) sum += weight[k] * a.src[(size_t)slot[k] * n + i];
            y[i] = a.set ? sum : y[i] + sum;
        }
    }
}
