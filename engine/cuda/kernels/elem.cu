/* Kernels that do little work per number: norm, activation, rotation, picking of rows, the largest
 * of a row, the hand-over to the host. They are bound by latency at one token and by memory at
 * many, so neighbours read neighbours and there is one read and one write per number; a number is
 * written by the thread that read it, or all of a group's reads lie before a barrier, so that
 * everything may be in place. Sums go in a fixed order. */
#include "common.cuh"

/* The same for all threads; at most 1024 of them, whole warps. */
ENG_DEVICE float block_sum(float x)
{
    __shared__ float part[WARP];
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    x = warp_sum(x);
    if (lane == 0) part[warp] = x;
    __syncthreads();
    return warp_sum(lane < (int)blockDim.x / WARP ? part[lane] : 0.0f);
}

/* One block per group of a row. What it has read stays in registers, so that it waits for memory
 * once; longer rows than that are read again. */
ENG_KERNEL_BOUNDS(1024, 1, rms_norm, EngCuElem a)
{
    enum { KEPT = 8 };
    int row = (int)blockIdx.x / a.src.heads, head = (int)blockIdx.x % a.src.heads, n = a.src.n;
    int step = (int)blockDim.x, first = (int)threadIdx.x;
    const float *x = a.src.data + (size_t)row * a.src.row + (size_t)head * a.src.stride;
    float *y = a.dst.data + (size_t)row * a.dst.row + (size_t)head * a.dst.stride;
    float kept[KEPT], weight[KEPT], sum = 0;
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        int at = first + i * step;
        kept[i] = at < n ? x[at] : 0;
        weight[i] = at < n && a.weight ? a.weight[at] : 1.0f;
    }
#pragma unroll
    for (int i = 0; i < KEPT; i++) sum += kept[i] * kept[i];
    for (int i = first + KEPT * step; i < n; i += step) sum += x[i] * x[i];
    float scale = 1.0f / sqrtf(block_sum(sum) / (float)n + a.eps);
#pragma unroll
    for (int i = 0; i < KEPT; i++) {
        int at = first + i * step;
        if (at >= n) continue;
        float is = kept[i] * scale * weight[i];
        y[at] = is;
        if (a.q) quantize_store(a.q, a.q_scale, (size_t)blockIdx.x * n + at, is);
    }
    for (int i = first + KEPT * step; i < n; i += step) {
        float is = x[i] * scale * (a.weight ? a.weight[i] : 1.0f);
        y[i] = is;
        if (a.q) quantize_store(a.q, a.q_scale, (size_t)blockIdx.x * n + i, is);
    }
}

/* The pairs of one group, in place. */
ENG_DEVICE void turn_pairs(float *y, const float *table, int dims, bool neox)
{
    int half = dims / 2;
    for (int i = (int)threadIdx.x % WARP; i < half; i += WARP) {
        int one = neox ? i : 2 * i, two = neox ? i + half : 2 * i + 1;
        float c = table[i], s = table[half + i], x1 = y[one], x2 = y[two];
        y[one] = x1 * c - x2 * s;
        y[two] = x1 * s + x2 * c;
    }
}

/* Warp: group of a job, x; block row: token. */
ENG_KERNEL(turn, EngCuTurn a)
{
    int head = (int)((blockIdx.x * blockDim.x + threadIdx.x) / WARP), row = (int)blockIdx.y;
    int lane = (int)threadIdx.x % WARP, which = 0;
    while (which < a.n_jobs && head >= a.jobs[which].src.heads) head -= a.jobs[which++].src.heads;
    if (which >= a.n_jobs) return; /* the whole warp */
    const EngCuTurnJob &job = a.jobs[which];
    const float *x = job.src.data + (size_t)row * job.src.row + (size_t)head * job.src.stride;
    float *y = job.dst.data + (size_t)row * job.dst.row + (size_t)head * job.dst.stride;
    float sum = 0, scale = 1;
    int n = job.src.n;
    if (job.normed) {
        for (int i = lane; i < n; i += WARP) sum += x[i] * x[i];
        scale = 1.0f / sqrtf(warp_sum(sum) / (float)n + job.eps);
    }
    if (job.normed || x != y)
        for (int i = lane; i < n; i += WARP)
            y[i] = job.normed ? x[i] * scale * (job.weight ? job.weight[i] : 1.0f) : x[i];
    __syncwarp();
    if (job.dims) turn_pairs(y, a.table.data + (size_t)row * a.table.row, job.dims, job.neox);
}

/* Blocks in x walk over a row's numbers, in y over the rows. */
ENG_KERNEL(glu, EngCuElem a)
{
    int step = (int)(gridDim.x * blockDim.x), first = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    for (int row = (int)blockIdx.y; row < a.rows; row += (int)gridDim.y) {
        for (int i = first; i < a.src.heads * a.src.n; i += step) {
            size_t head = i / a.src.n, at = i % a.src.n;
            float gate = a.src.data[(size_t)row * a.src.row + head * a.src.stride + at];
            float up = a.other.data[(size_t)row * a.other.row + head * a.other.stride + at];
            a.dst.data[(size_t)row * a.dst.row + head * a.dst.stride + at] =
                gate / (1.0f + expf(-gate)) * up;
        }
    }
}

ENG_KERNEL(add, EngCuElem a)
{
    int step = (int)(gridDim.x * blockDim.x), first = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    for (int row = (int)blockIdx.y; row < a.rows; row += (int)gridDim.y)
        for (int i = first; i < a.src.n; i += step)
            a.dst.data[(size_t)row * a.dst.row + i] += a.src.data[(size_t)row * a.src.row + i];
}

/* A thread turns a pair or copies one number of the rest. */
ENG_KERNEL(rope, EngCuElem a)
{
    int half = a.dims / 2, items = half + a.src.n - a.dims;
    int step = (int)(gridDim.x * blockDim.x), first = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    for (int row = (int)blockIdx.y; row < a.rows; row += (int)gridDim.y) {
        const float *table = a.other.data + (size_t)row * a.other.row;
        for (int i = first; i < items * a.src.heads; i += step) {
            int head = i / items, at = i % items;
            const float *x = a.src.data + (size_t)row * a.src.row + (size_t)head * a.src.stride;
            float *y = a.dst.data + (size_t)row * a.dst.row + (size_t)head * a.dst.stride;
            if (at < half) {
                int one = a.neox ? at : 2 * at, two = a.neox ? at + half : 2 * at + 1;
                float c = table[at], s = table[half + at], x1 = x[one], x2 = x[two];
                y[one] = x1 * c - x2 * s;
                y[two] = x1 * s + x2 * c;
            } else {
                y[at + half] = x[at + half];
            }
        }
    }
}

/* In place a thread takes its column down all the rows, as the C twin does, and the grid has one
 * row of blocks. */
ENG_KERNEL(select_rows, EngCuElem a)
{
    int step = (int)(gridDim.x * blockDim.x), first = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    for (int i = first; i < a.src.n; i += step)
        for (int row = (int)blockIdx.y; row < a.rows; row += (int)gridDim.y)
            a.dst.data[(size_t)row * a.dst.row + i] =
                a.src.data[(size_t)a.out[row] * a.src.row + i];
}

/* ---- topk ---- */

enum { TOP_THREADS = 1024, TOP_ROOM = 2048 };

/* Larger numbers have larger keys, of equal ones the earlier; all keys differ, none is 0. */
ENG_DEVICE unsigned long long top_key(float x, int place)
{
    unsigned bits = __float_as_uint(x + 0.0f); /* -0 becomes 0 */
    unsigned order = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    if ((bits & 0x7f800000u) == 0x7f800000u) order = 0xffffffffu;
    return (unsigned long long)order << 32 | (0xffffffffu - (unsigned)place);
}

/* Descending; n a power of two, at most twice the threads. */
ENG_DEVICE void top_sort(unsigned long long *keys, int n)
{
    for (int size = 2; size <= n; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            int i = (int)threadIdx.x, at = i / step * 2 * step + i % step;
            if (i < n / 2) {
                unsigned long long one = keys[at], two = keys[at + step];
                if ((one < two) == ((at & size) == 0)) {
                    keys[at] = two;
                    keys[at + step] = one;
                }
            }
        }
    __syncthreads();
}

/* How many of a row's keys are at least `least`. */
ENG_DEVICE int top_count(const float *x, int n, unsigned long long least, unsigned *counter)
{
    unsigned count = 0;
    for (int i = (int)threadIdx.x; i < n; i += TOP_THREADS) count += top_key(x[i], i) >= least;
    __syncthreads();
    if (threadIdx.x == 0) *counter = 0;
    __syncthreads();
    atomicAdd(counter, count);
    __syncthreads();
    return (int)*counter;
}

/* One block per row, which is read twice: the n-th largest of the threads' largest numbers bounds
 * the n-th largest of all from below; what is not below it is collected and sorted. Where too many
 * are not below (a row sorted by blocks of threads, say), the bound is raised by halves: keys
 * differ, so a bound that leaves n of them exists. n <= 1024 and <= src.n. */
ENG_KERNEL_BOUNDS(1024, 1, topk, EngCuTopk a)
{
    __shared__ unsigned long long keys[TOP_ROOM];
    __shared__ unsigned counter;
    const float *x = a.src.data + (size_t)blockIdx.x * a.src.row;
    unsigned long long most = 0;
    for (int i = (int)threadIdx.x; i < a.src.n; i += TOP_THREADS) {
        unsigned long long key = top_key(x[i], i);
        if (key > most) most = key;
    }
    keys[threadIdx.x] = most;
    top_sort(keys, TOP_THREADS);
    unsigned long long low = keys[a.n - 1], high = keys[0] + 1; /* low is good, high is too high */
    while (top_count(x, a.src.n, low, &counter) > TOP_ROOM) {
        /* the first bound upwards that leaves n … TOP_ROOM */
        unsigned long long middle = low + (high - low) / 2;
        int count = top_count(x, a.src.n, middle, &counter);
        while (count < a.n) {
            high = middle;
            middle = low + (high - low) / 2;
            count = top_count(x, a.src.n, middle, &counter);
        }
        low = middle;
    }
    int count = (int)counter, size = 2;
    while (size < count) size *= 2;
    __syncthreads();
    if (threadIdx.x == 0) counter = 0;
    for (int i = (int)threadIdx.x; i < size; i += TOP_THREADS) keys[i] = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < a.src.n; i += TOP_THREADS) {
        unsigned long long key = top_key(x[i], i);
        if (key >= low) keys[atomicAdd(&counter, 1u)] = key; /* the sort undoes the chance */
    }
    top_sort(keys, size);
    for (int i = (int)threadIdx.x; i < a.n; i += TOP_THREADS) {
        int place = (int)(0xffffffffu - (unsigned)keys[i]);
        a.places[(size_t)blockIdx.x * a.row + i] = place;
        a.values[(size_t)blockIdx.x * a.row + i] = x[place];
    }
}

/* ---- hand-over ---- */

/* Numbers are taken as words: ids travel too. */
ENG_DEVICE void hand(const EngCuView *from, const EngCuView *to, int rows, bool add)
{
    int wide = from->heads * from->n, step = (int)(gridDim.x * blockDim.x);
    for (int i = (int)(blockIdx.x * blockDim.x + threadIdx.x); i < rows * wide; i += step) {
        int row = i / wide, head = i % wide / from->n, at = i % wide % from->n;
        const float *x = from->data + (size_t)row * from->row + (size_t)head * from->stride + at;
        float *y = to->data + (size_t)row * to->row + (size_t)head * to->stride + at;
        if (add)
            *y += *x;
        else
            *(uint32_t *)y = *(const uint32_t *)x;
    }
}

/* One block: its barrier is what orders everybody's data before the flag. */
/* The block that is done last raises the flag, and finds the counter as it was. */
ENG_KERNEL_BOUNDS(1024, 1, publish, EngCuHand a)
{
    for (int v = 0; v < a.n_views; v++) hand(&a.near[v], &a.far[v], a.rows, false);
    __threadfence_system();
    __syncthreads();
    if (threadIdx.x != 0) return;
    if (gridDim.x > 1 && atomicInc(a.done, gridDim.x - 1) != gridDim.x - 1) return;
    __threadfence_system();
    store_release_sys(a.flag, *a.turn);
}

/* Every block waits by itself. Sleeping leaves the bus to the data. */
ENG_KERNEL_BOUNDS(1024, 1, accept, EngCuHand a)
{
    __shared__ uint32_t seen;
    if (threadIdx.x == 0) {
        uint32_t turn = *a.turn, flag;
        while ((flag = load_acquire_sys(a.flag)) != turn && flag != ENG_CU_ABANDON)
            __nanosleep(200);
        seen = flag;
    }
    __syncthreads();
    if (seen == ENG_CU_ABANDON) return;
    for (int v = 0; v < a.n_views; v++) hand(&a.far[v], &a.near[v], a.rows, a.add);
}

/* The yardstick of memory: what a plain copy reaches. bytes a multiple of 16. */
ENG_KERNEL(bench_copy, EngCuBench a)
{
    const uint4 *from = (const uint4 *)a.src;
    uint4 *to = (uint4 *)a.dst;
    size_t step = (size_t)gridDim.x * blockDim.x, n = a.bytes / sizeof(uint4);
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        to[i] = from[i];
}
