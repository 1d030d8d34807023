/* Which experts a token goes to (engine/cpu/op_route.c is the specification: the same experts in
 * the same order), and tokens put together by expert for prefill. */
#include "common.cuh"

#define LOWEST (-3.402823466e+38f) /* FLT_MAX */

/* Best of x[0 … n) that is not yet taken, for all lanes: the lower index wins a tie. A NaN is never
 * better than another, and none is better than it when it comes first. -1: all are taken. */
ENG_DEVICE int best(const float *x, const uint8_t *taken, int n)
{
    int lane = (int)threadIdx.x, at = -1, first = n;
    float most = 0;
    for (int i = lane; i < n; i += WARP) {
        if (taken[i]) continue;
        if (first == n) first = i;
        if (!isnan(x[i]) && (at < 0 || x[i] > most)) at = i, most = x[i];
    }
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
        int other = __shfl_xor_sync(FULL_WARP, at, step);
        float others = __shfl_xor_sync(FULL_WARP, most, step);
        first = min(first, __shfl_xor_sync(FULL_WARP, first, step));
        bool better = at < 0 || others > most || (others == most && other < at);
        if (other >= 0 && better) at = other, most = others;
    }
    if (first == n) return -1;
    return isnan(x[first]) ? first : at;
}

/* Only experts of the best groups stand. Scores of a group lie in one bank of every lane that walks
 * over its own, so each begins elsewhere; the two largest do not depend on the order. */
ENG_DEVICE void drop_groups(const EngCuRoute &a, const float *choice, float *score,
                            uint8_t *chosen, uint8_t *taken)
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
    for (int i = 0; i < a.n_groups_used; i++) {
        int g = best(score, chosen, a.n_groups);
        __syncwarp();
        if (lane == 0) chosen[g] = 1;
        __syncwarp();
    }
    for (int i = lane; i < n; i += WARP)
        taken[i] = !chosen[i / size];
}

ENG_DEVICE void gate_scores(const EngCuRoute &a, const float *x, float *scores)
{
    int lane = (int)threadIdx.x, n = a.logits.n;
    if (a.sigmoid) {
        for (int i = lane; i < n; i += WARP)
            scores[i] = 1.0f / (1.0f + expf(-x[i]));
        return;
    }
    float most = -INFINITY, sum = 0;
    for (int i = lane; i < n; i += WARP)
        most = fmaxf(most, x[i]);
    most = warp_max(most);
    for (int i = lane; i < n; i += WARP)
        sum += scores[i] = expf(x[i] - most);
    sum = warp_sum(sum);
    for (int i = lane; i < n; i += WARP)
        scores[i] /= sum;
}

/* A warp per token: choosing is a chain of maxima, and a shuffle is the fastest way to the next.
 * Shared: floats [3][experts] scores, choice, groups' scores; bytes [2][experts] taken, chosen. */
ENG_KERNEL_BOUNDS(32, 1, route, EngCuRoute a)
{
    DYN_SHARED(float, scores);
    int lane = (int)threadIdx.x, n = a.logits.n;
    size_t row = blockIdx.x;
    float *choice = scores + n, *groups = choice + n;
    uint8_t *taken = (uint8_t *)(groups + n), *chosen = taken + n;
    int32_t *ids = (int32_t *)a.ids.data + row * a.ids.row;
    float *weights = a.weights.data + row * a.weights.row, sum = 0;
    gate_scores(a, a.logits.data + row * a.logits.row, scores);
    for (int i = lane; i < n; i += WARP) {
        choice[i] = scores[i] + (a.bias ? a.bias[i] : 0.0f);
        taken[i] = 0;
    }
    __syncwarp();
    if (a.n_groups > 1) drop_groups(a, choice, groups, chosen, taken);
    __syncwarp();
    for (int k = 0; k < a.n_used; k++) {
        int id = best(choice, taken, n);
        float weight = id < 0 ? 0.0f : scores[id];
        sum += weight;
        __syncwarp();
        if (lane == 0) {
            ids[k] = id;
            weights[k] = weight;
            if (id >= 0) taken[id] = 1;
        }
        __syncwarp();
    }
    for (int k = lane; k < a.n_used; k += WARP)
        weights[k] = (a.norm ? weights[k] / (sum + 1e-20f) : weights[k]) * a.scale;
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
        const int32_t *slot = a.slots.slot + (size_t)t * a.chosen.n_used;
        const float *weight = a.chosen.weights + (size_t)t * a.chosen.weights_row;
        float *y = a.dst.data + (size_t)t * a.dst.row;
        for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += step) {
            float sum = 0;
            for (int k = 0; k < a.chosen.n_used; k++)
                if (slot[k] >= 0) sum += weight[k] * a.src[(size_t)slot[k] * n + i];
            y[i] += sum;
        }
    }
}
