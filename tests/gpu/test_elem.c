/* The kernels that do little work per number, on random shapes, strides and places, beside sums in
 * double precision or the engine's own ops on the CPU. Bounds relative to the terms' size: 2^-20,
 * which is 1e-6, and 3e-36 for glu, whose exp(-x) may be infinite. */
#include "elem_inputs.h"

#include "base/num.h"
#include "cuda/launch/elem.h"
#include "cuda/launch/matvec.h"

#define BOUND 0x1p-20

static void check_close(float got, double want, double size, const char *what, int i)
{
    CHECK_MSG(fabs(got - want) <= BOUND * size + 3e-36, "%s %d: %.9g, not %.9g", what, i,
              (double)got, want);
}

static void norms(void)
{
    for (int round = 0; round < 12; round++) {
        int rows = test_range(1, 3), heads = test_range(1, 4), n = test_range(1, 700);
        if (round == 0) n = 7168, heads = 1;
        Buffer x = buffer_new(rows, heads, n, 3), y = buffer_new(rows, heads, n, 3);
        float *weight = malloc((size_t)n * sizeof *weight);
        for (int i = 0; i < n; i++) weight[i] = test_float() * 2;
        bool in_place = round & 1, weighs = round & 2;
        Buffer *to = in_place ? &x : &y;
        EngCuElem args = {.src = x.view,
                          .dst = to->view,
                          .weight = weighs ? device((size_t)n * sizeof *weight, weight) : NULL,
                          .eps = 1e-5f,
                          .rows = rows};
        eng_cuda_norm(gpu, &args);
        gpu_sync();
        buffer_read(to);
        for (int t = 0; t < rows; t++)
            for (int h = 0; h < heads; h++) {
                const float *from = x.old + buffer_index(&x, t, h, 0);
                double sum = 0;
                for (int i = 0; i < n; i++) sum += (double)from[i] * from[i];
                double scale = 1 / sqrt(sum / n + 1e-5);
                for (int i = 0; i < n; i++) {
                    double want = from[i] * scale * (weighs ? weight[i] : 1);
                    check_close(to->host[buffer_index(to, t, h, i)], want, fabs(want), "norm", i);
                }
            }
        check_rest(to, rows);
        free(weight);
        buffer_free(&x), buffer_free(&y), gpu_clear();
    }
}

/* The same bytes as quantize makes of what the norm has written. */
static void norms_leave_bytes(void)
{
    for (int round = 0; round < 8; round++) {
        int rows = test_range(1, 3), n = 32 * (round ? test_range(1, 60) : 300);
        size_t bytes = (size_t)rows * (size_t)n, scales = bytes / 32 * 2 * sizeof(float);
        Buffer x = buffer_new(rows, 1, n, 3);
        int8_t *q[2];
        float *scale[2];
        for (int i = 0; i < 2; i++) q[i] = device(bytes, NULL), scale[i] = device(scales, NULL);
        EngCuElem norm = {.src = x.view,
                          .dst = x.view,
                          .eps = 1e-5f,
                          .rows = rows,
                          .q = q[0],
                          .q_scale = scale[0]};
        EngCuPrepare prepare = {.src = x.view, .q = q[1], .scale = scale[1], .rows = rows};
        eng_cuda_norm(gpu, &norm);
        eng_cuda_prepare(gpu, ENG_CU_quantize, &prepare);
        int8_t *have[2] = {malloc(bytes), malloc(bytes)};
        float *by[2] = {malloc(scales), malloc(scales)};
        for (int i = 0; i < 2; i++) fetch(have[i], q[i], bytes), fetch(by[i], scale[i], scales);
        CHECK(memcmp(have[0], have[1], bytes) == 0 && memcmp(by[0], by[1], scales) == 0);
        for (int i = 0; i < 2; i++) free(have[i]), free(by[i]);
        buffer_free(&x), gpu_clear();
    }
}

static void norm_keeps_nan(void)
{
    Buffer x = buffer_new(1, 1, 300, 1);
    x.host[buffer_index(&x, 0, 0, 123)] = NAN;
    buffer_write(&x);
    eng_cuda_norm(gpu, &(EngCuElem){.src = x.view, .dst = x.view, .eps = 1e-6f, .rows = 1});
    gpu_sync();
    buffer_read(&x);
    for (int i = 0; i < 300; i++) CHECK(isnan(x.host[buffer_index(&x, 0, 0, i)]));
    buffer_free(&x), gpu_clear();
}

static void glus(void)
{
    for (int round = 0; round < 12; round++) {
        int rows = test_range(1, 3), heads = test_range(1, 3), n = test_range(1, 1500);
        Buffer gate = buffer_new(rows, heads, n, round == 0 ? 200 : 8);
        Buffer up = buffer_new(rows, heads, n, 3), y = buffer_new(rows, heads, n, 3);
        Buffer *to = round % 3 == 0 ? &y : round % 3 == 1 ? &gate : &up;
        EngCuElem args = {.src = gate.view, .other = up.view, .dst = to->view, .rows = rows};
        eng_cuda_glu(gpu, &args);
        gpu_sync();
        buffer_read(to);
        for (int t = 0; t < rows; t++)
            for (int i = 0; i < heads * n; i++) {
                int h = i / n, at = i % n;
                double g = gate.old[buffer_index(&gate, t, h, at)];
                double want = g / (1 + exp(-g)) * up.old[buffer_index(&up, t, h, at)];
                check_close(to->host[buffer_index(to, t, h, at)], want, fabs(want), "glu", i);
            }
        check_rest(to, rows);
        buffer_free(&gate), buffer_free(&up), buffer_free(&y), gpu_clear();
    }
}

static void adds(void)
{
    for (int round = 0; round < 6; round++) {
        int rows = test_range(1, 5), n = test_range(1, 3000);
        Buffer x = buffer_new(rows, 1, n, 3), y = buffer_new(rows, 1, n, 3);
        eng_cuda_add(gpu, &(EngCuElem){.src = x.view, .dst = y.view, .rows = rows});
        gpu_sync();
        buffer_read(&y);
        for (int t = 0; t < rows; t++)
            for (int i = 0; i < n; i++) {
                size_t at = buffer_index(&y, t, 0, i);
                CHECK(y.host[at] == y.old[at] + x.old[buffer_index(&x, t, 0, i)]);
            }
        check_rest(&y, rows);
        buffer_free(&x), buffer_free(&y), gpu_clear();
    }
}

static double turned(const float *x, const float *table, int dims, bool neox, int i, double *size)
{
    int half = dims / 2, pair = neox ? i % half : i / 2, second = neox ? i / half : i % 2;
    if (i >= dims) {
        *size = 0;
        return x[i];
    }
    double a = x[neox ? pair : 2 * pair], b = x[neox ? pair + half : 2 * pair + 1];
    double c = table[pair], s = table[half + pair];
    *size = fabs(a) + fabs(b);
    return second ? a * s + b * c : a * c - b * s;
}

static void ropes(void)
{
    for (int round = 0; round < 12; round++) {
        int rows = test_range(1, 3), heads = test_range(1, 9), dims = 2 * test_range(1, 64);
        int n = dims + test_range(0, 1) * test_range(1, 130);
        Buffer x = buffer_new(rows, heads, n, 3), y = buffer_new(rows, heads, n, 3);
        Buffer table = buffer_new(rows, 1, dims, 1);
        Buffer *to = round & 1 ? &x : &y;
        EngCuElem args = {.src = x.view,
                          .dst = to->view,
                          .other = table.view,
                          .dims = dims,
                          .neox = round & 2,
                          .rows = rows};
        eng_cuda_rope(gpu, &args);
        gpu_sync();
        buffer_read(to);
        for (int t = 0; t < rows; t++)
            for (int h = 0; h < heads; h++)
                for (int i = 0; i < n; i++) {
                    double size, want = turned(x.old + buffer_index(&x, t, h, 0),
                                               table.old + buffer_index(&table, t, 0, 0), dims,
                                               round & 2, i, &size);
                    check_close(to->host[buffer_index(to, t, h, i)], want, size, "rope", i);
                }
        check_rest(to, rows);
        buffer_free(&x), buffer_free(&y), buffer_free(&table), gpu_clear();
    }
}

/* Also in place, where a row taken may be one that was written. */
/* Norms and turns of several views of one buffer, and of others, as one after the other does them.
 */
static void turns(void)
{
    for (int round = 0; round < 16; round++) {
        int rows = test_range(1, 3), n_jobs = test_range(1, ENG_CU_TURN_JOBS);
        Buffer table = buffer_new(rows, 1, 256, 1), x[ENG_CU_TURN_JOBS], y[ENG_CU_TURN_JOBS];
        EngCuTurn args = {.n_jobs = n_jobs, .table = table.view, .rows = rows};
        for (int k = 0; k < n_jobs; k++) {
            int n = 2 * test_range(1, 128), heads = test_range(1, 9);
            bool apart = test_range(0, 1);
            x[k] = buffer_new(rows, heads, n, 3), y[k] = buffer_new(rows, heads, n, 3);
            float *weight = malloc((size_t)n * sizeof *weight);
            for (int i = 0; i < n; i++) weight[i] = test_float() * 2;
            EngCuTurnJob *job = &args.jobs[k];
            *job = (EngCuTurnJob){.src = x[k].view,
                                  .dst = apart ? y[k].view : x[k].view,
                                  .normed = test_range(0, 1),
                                  .eps = 1e-5f,
                                  .dims = test_range(0, 2) ? 2 * test_range(1, n / 2) : 0,
                                  .neox = test_range(0, 1)};
            if (test_range(0, 1)) job->weight = device((size_t)n * sizeof *weight, weight);
            free(weight);
        }
        Buffer *to[ENG_CU_TURN_JOBS];
        float *want[ENG_CU_TURN_JOBS];
        for (int k = 0; k < n_jobs; k++) {
            const EngCuTurnJob *job = &args.jobs[k];
            to[k] = job->dst.data == x[k].view.data ? &x[k] : &y[k];
            EngCuElem a = {.src = job->src,
                           .dst = job->dst,
                           .other = table.view,
                           .weight = job->weight,
                           .eps = job->eps,
                           .rows = rows};
            if (job->normed) eng_cuda_norm(gpu, &a), a.src = a.dst;
            a.dims = job->dims, a.neox = job->neox;
            eng_cuda_rope(gpu, &a); /* with no dims a copy */
            buffer_read(to[k]);
            want[k] = malloc(to[k]->count * sizeof(float));
            memcpy(want[k], to[k]->host, to[k]->count * sizeof(float));
            memcpy(to[k]->host, to[k]->old, to[k]->count * sizeof(float));
            buffer_write(to[k]);
        }
        eng_cuda_turn(gpu, &args);
        for (int k = 0; k < n_jobs; k++) {
            buffer_read(to[k]);
            for (size_t i = 0; i < to[k]->count; i++)
                check_close(to[k]->host[i], want[k][i], 20, "turn", (int)i);
            check_rest(to[k], rows);
            free(want[k]);
        }
        for (int k = 0; k < n_jobs; k++) buffer_free(&x[k]), buffer_free(&y[k]);
        buffer_free(&table), gpu_clear();
    }
}

static void selects(void)
{
    for (int round = 0; round < 8; round++) {
        int rows = test_range(1, 9), n_out = test_range(1, rows), n = test_range(1, 900);
        Buffer x = buffer_new(rows, 1, n, 3), y = buffer_new(n_out, 1, n, 3);
        int32_t out[9];
        for (int i = 0, at = 0; i < rows && at < n_out; i++)
            if (rows - i == n_out - at || test_range(0, 1)) out[at++] = i;
        Buffer *to = round & 1 ? &x : &y;
        eng_cuda_select(gpu, &(EngCuElem){.src = x.view,
                                          .dst = to->view,
                                          .out = device((size_t)n_out * sizeof *out, out),
                                          .rows = n_out});
        gpu_sync();
        buffer_read(to);
        for (int t = 0; t < n_out; t++)
            CHECK(memcmp(to->host + buffer_index(to, t, 0, 0),
                         x.old + buffer_index(&x, out[t], 0, 0), (size_t)n * sizeof(float)) == 0);
        check_rest(to, n_out < rows && to == &x ? rows : n_out);
        buffer_free(&x), buffer_free(&y), gpu_clear();
    }
}

/* ---- topk ---- */

static const float *sorted;

static int before(const void *a, const void *b)
{
    int i = *(const int *)a, j = *(const int *)b;
    bool fi = isfinite(sorted[i]), fj = isfinite(sorted[j]);
    if (fi != fj) return fi ? 1 : -1;
    if (fi && sorted[i] != sorted[j]) return sorted[i] > sorted[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

static void check_top(const float *x, int n, const float *values, const int32_t *places, int most)
{
    int *order = malloc((size_t)n * sizeof *order);
    for (int i = 0; i < n; i++) order[i] = i;
    sorted = x;
    qsort(order, (size_t)n, sizeof *order, before);
    for (int i = 0; i < most && test_failures_ < 9; i++) {
        CHECK_MSG(places[i] == order[i], "rank %d is %d, not %d", i, places[i], order[i]);
        CHECK(memcmp(values + i, x + order[i], sizeof *x) == 0);
    }
    free(order);
}

/* Kinds: random (with n = 1024 the first bound is then far too low); few different numbers, with
 * both zeros; the largest all in one thread's stripe; some not finite. */
static void top_numbers(Buffer *x, int rows, int n, int kind)
{
    for (int t = 0; t < rows; t++)
        for (int i = 0; i < n; i++) {
            float *at = x->host + buffer_index(x, t, 0, i);
            if (kind == 1) *at = (float)test_range(-2, 2) * (test_range(0, 1) ? 1.0f : -1.0f);
            if (kind == 2) *at = i % 1024 == 7 ? 100 + *at : *at;
            if (kind == 3 && test_range(0, 99) == 0) *at = test_range(0, 1) ? NAN : -INFINITY;
        }
    buffer_write(x);
}

static void tops(void)
{
    for (int round = 0; round < 9; round++) {
        int rows = test_range(1, 2), n = test_range(1, round < 6 ? 3000 : 9000);
        int most = test_range(1, ENG_MIN(n, round % 3 == 0 ? 1024 : 64));
        if (round == 8) n = 20000, most = 1024;
        Buffer x = buffer_new(rows, 1, n, 9);
        top_numbers(&x, rows, n, round == 8 ? 2 : round % 4);
        int row = most + test_range(0, 9);
        size_t count = (size_t)rows * (size_t)row;
        float *values = malloc(count * sizeof *values);
        int32_t *places = malloc(count * sizeof *places);
        EngCuTopk args = {x.view,
                          device(count * sizeof *values, NULL),
                          device(count * sizeof *places, NULL),
                          row,
                          most,
                          rows};
        eng_cuda_topk(gpu, &args);
        gpu_sync();
        fetch(values, args.values, count * sizeof *values);
        fetch(places, args.places, count * sizeof *places);
        for (int t = 0; t < rows; t++)
            check_top(x.old + buffer_index(&x, t, 0, 0), n, values + t * row, places + t * row,
                      most);
        free(values), free(places);
        buffer_free(&x), gpu_clear();
    }
}

/* ---- hand-over ---- */

typedef struct {
    Buffer near[2];
    float *far;
    volatile uint32_t *flag;
    EngCuHand args;
} Hand;

static Hand hand_new(int rows)
{
    EngError err = {0};
    Hand h = {.args = {.n_views = 2, .rows = rows}};
    size_t at = 0, counts = 0;
    for (int v = 0; v < 2; v++) {
        int heads = test_range(1, 3), n = test_range(1, 400);
        h.near[v] = buffer_new(rows, heads, n, 3);
        h.args.near[v] = h.near[v].view;
        h.args.far[v] = (EngCuView){NULL, heads * n, heads, n, n};
        counts += (size_t)(rows * heads * n);
    }
    h.far = eng_cuda_alloc_host(gpu, counts * sizeof(float), "a test", &err);
    h.flag = eng_cuda_alloc_host(gpu, sizeof *h.flag, "a test", &err);
    for (int v = 0; v < 2; v++) {
        h.args.far[v].data = h.far + at;
        at += (size_t)(rows * h.args.far[v].row);
    }
    for (size_t i = 0; i < counts; i++) h.far[i] = test_float();
    uint32_t turn = (uint32_t)test_range(1, 1000000);
    h.args.flag = h.flag;
    h.args.turn = device(sizeof turn, &turn);
    h.args.done = device(sizeof *h.args.done, NULL);
    return h;
}

static void hand_free(Hand *h)
{
    for (int v = 0; v < 2; v++) buffer_free(&h->near[v]);
    eng_cuda_free_host(gpu, h->far), eng_cuda_free_host(gpu, (void *)h->flag);
    gpu_clear();
}

static const float *far_number(const Hand *h, int v, int t, int head, int i)
{
    const EngCuView *f = &h->args.far[v];
    return f->data + t * f->row + head * f->stride + i;
}

static void publishes(void)
{
    for (int round = 0; round < 8; round++) {
        int rows = round % 2 ? test_range(1, 4) : test_range(50, 300); /* one block or several */
        Hand h = hand_new(rows);
        uint32_t turn;
        if (round > 5) { /* the counter is as it was */
            eng_cuda_publish(gpu, &h.args);
            gpu_sync();
            *h.flag = 0;
        }
        eng_cuda_publish(gpu, &h.args);
        gpu_sync();
        fetch(&turn, h.args.turn, sizeof turn);
        CHECK_INT(*h.flag, turn);
        for (int v = 0; v < 2; v++)
            for (int t = 0; t < rows; t++)
                for (int i = 0; i < h.args.far[v].row; i++) {
                    int n = h.args.far[v].n;
                    float want = h.near[v].old[buffer_index(&h.near[v], t, i / n, i % n)];
                    CHECK(*far_number(&h, v, t, i / n, i % n) == want);
                }
        hand_free(&h);
    }
}

/* The flag is up before the launch: that a wait ends when it goes up is for programs with threads.
 */
static void accepts(void)
{
    for (int round = 0; round < 6; round++) {
        int rows = test_range(1, 4);
        Hand h = hand_new(rows);
        bool abandoned = round >= 4;
        h.args.add = round & 1;
        uint32_t turn;
        fetch(&turn, h.args.turn, sizeof turn);
        uint32_t up = abandoned ? ENG_CU_ABANDON : turn;
        *h.flag = round & 2 ? up : turn - 1;
        eng_cuda_accept(gpu, &h.args);
        struct timespec while_it_waits = {.tv_nsec = 2000000};
        nanosleep(&while_it_waits, NULL);
        __atomic_store_n(h.flag, up, __ATOMIC_RELEASE);
        gpu_sync();
        for (int v = 0; v < 2; v++) {
            Buffer *b = &h.near[v];
            buffer_read(b);
            for (int t = 0; t < rows; t++)
                for (int i = 0; i < h.args.far[v].row; i++) {
                    int n = h.args.far[v].n;
                    size_t at = buffer_index(b, t, i / n, i % n);
                    float far = *far_number(&h, v, t, i / n, i % n);
                    float want = abandoned ? b->old[at] : h.args.add ? b->old[at] + far : far;
                    CHECK_MSG(b->host[at] == want, "number %d of view %d", i, v);
                }
            check_rest(b, rows);
        }
        hand_free(&h);
    }
}

static void copies(void)
{
    size_t bytes = 16 * (size_t)test_range(1, 3000);
    uint8_t *x = malloc(bytes), *y = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) x[i] = (uint8_t)test_random();
    EngCuBench args = {device(bytes, x), device(bytes, NULL), bytes, 0};
    eng_cuda_bench_copy(gpu, &args);
    gpu_sync();
    fetch(y, args.dst, bytes);
    CHECK(memcmp(x, y, bytes) == 0);
    free(x), free(y);
    gpu_clear();
}

/* Two slots: a copy waits until its slot has been read, a kernel until its copy has been made. The
 * simulated device spoils a slot before it copies, so that too early shows. */
static void copies_go_beside_kernels(void)
{
    enum { SLOTS = 2, PIECES = 40, N = 5000 };
    EngError err = {0};
    EngCuEvent *copied[SLOTS], *read[SLOTS];
    float *from = eng_cuda_alloc_host(gpu, PIECES * N * sizeof *from, "a test", &err);
    float *got = malloc(PIECES * N * sizeof *got), *slots[SLOTS];
    float *to = device(PIECES * N * sizeof *to, NULL);
    int32_t first = 0, *out = device(sizeof *out, &first);
    for (int i = 0; i < SLOTS; i++) {
        slots[i] = device(N * sizeof *from, NULL);
        CHECK((copied[i] = eng_cuda_event_new(gpu, &err)) &&
              (read[i] = eng_cuda_event_new(gpu, &err)));
        CHECK(eng_cuda_event_has_happened(gpu, copied[i])); /* never marked */
    }
    for (int i = 0; i < PIECES * N; i++) from[i] = test_float();
    for (int i = 0; i < PIECES; i++) {
        int s = i % SLOTS;
        eng_cuda_event_await(gpu, read[s], ENG_CU_COPIES);
        eng_cuda_enqueue_write(gpu, ENG_CU_COPIES, slots[s], from + i * N, N * sizeof *from);
        eng_cuda_event_mark(gpu, copied[s], ENG_CU_COPIES);
        eng_cuda_event_await(gpu, copied[s], ENG_CU_COMPUTE);
        eng_cuda_select(gpu, &(EngCuElem){.src = {slots[s], N, 1, N, N},
                                          .dst = {to + i * N, N, 1, N, N},
                                          .out = out,
                                          .rows = 1});
        eng_cuda_event_mark(gpu, read[s], ENG_CU_COMPUTE);
    }
    eng_cuda_event_wait(gpu, read[0]);
    CHECK(eng_cuda_event_has_happened(gpu, read[0]) && !eng_cuda_failed(gpu));
    fetch(got, to, PIECES * N * sizeof *got);
    for (int i = 0; i < PIECES; i++)
        CHECK_MSG(memcmp(got + i * N, from + i * N, N * sizeof *got) == 0, "piece %d", i);
    eng_cuda_free_host(gpu, from);
    free(got), gpu_clear();
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"norm", norms},
        {"norm keeps NaN", norm_keeps_nan},
        {"norm leaves bytes", norms_leave_bytes},
        {"turn: norms and rope in one launch", turns},
        {"glu", glus},
        {"rope", ropes},
        {"add", adds},
        {"select", selects},
        {"topk", tops},
        {"publish", publishes},
        {"accept", accepts},
        {"bench_copy", copies},
        {"copies go beside kernels", copies_go_beside_kernels},
    };
    if (!gpu_open()) return 1;
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    eng_cuda_close(gpu);
    return rc;
}
