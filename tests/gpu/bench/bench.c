/* What the kernels reach on a card beside what the card can: a Markdown table on stdout.
 *
 * Limits first: copying in the card's memory (bytes read and written), products of tensor cores out
 * of registers, copying from pinned memory. Then each kernel at the shapes of DeepSeek-R1 (and
 * Qwen3's attention) as a fraction of the limit that binds it. Launches are kept in a graph that
 * walks over more memory than the card's caches hold; a time is the median of several graphs.
 *
 * Usage: bench [--quick] [WHAT]
 * --quick: small shapes and few launches, to see that it runs (the simulated driver takes minutes
 * otherwise; its numbers mean nothing). WHAT: the limits and rows that begin so, for a profiler.
 * HEARTH_GPU=1: the machine's own card. */
#include <math.h>

#include "base/num.h"
#include "base/sys.h"
#include "cuda/launch/attn.h"
#include "cuda/launch/elem.h"
#include "cuda/launch/matmul.h"
#include "cuda/launch/matvec.h"
#include "../on_gpu.h"

static bool quick;
static const char *only = "";
static uint8_t *arena; /* random bytes that weights and caches are made of */
static size_t arena_bytes;
static double copy_s, mma_s; /* bytes and operations per second: the limits */

/* ---- timing ---------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of one of `n` launches i = 0 … n - 1. */
static double seconds(void (*launch)(void *of, int i), void *of, int n)
{
    enum { TIMES = 9 };
    double times[TIMES];
    EngCuGraphExec *graph = NULL;
    if (eng_cuda_capture_begin(gpu)) {
        for (int i = 0; i < n; i++) launch(of, i);
        graph = eng_cuda_capture_end(gpu);
    }
    CHECK(graph != NULL);
    if (!graph) return NAN;
    int times_n = quick ? 1 : TIMES;
    for (int i = quick ? 0 : -2; i < times_n; i++) {
        double start = eng_sys_now();
        eng_cuda_graph_launch(gpu, graph);
        gpu_sync();
        if (i >= 0) times[i] = (eng_sys_now() - start) / n;
    }
    eng_cuda_graph_free(gpu, graph);
    qsort(times, (size_t)times_n, sizeof *times, by_value);
    return times[times_n / 2];
}

static void row(const char *what, const char *shape, double s, double amount, double limit)
{
    const char *unit = limit == mma_s ? "TFLOP/s" : "GB/s";
    double per_s = amount / s;
    printf("| %s | %s | %.2f | %.1f %s | %.0f %% |\n", what, shape, s * 1e6,
           per_s / (limit == mma_s ? 1e12 : 1e9), unit, 100 * per_s / limit);
    fflush(stdout);
}

static bool wanted(const char *what) { return strncmp(what, only, strlen(only)) == 0; }

static int at_least(int full) { return quick ? 1 : full; }

/* ---- limits ---------------------------------------------------------------------------------- */

static void launch_copy(void *of, int i)
{
    EngCuBench *a = of;
    (void)i;
    eng_cuda_bench_copy(gpu, a);
}

static void launch_mma(void *of, int i)
{
    double *operations = of;
    (void)i;
    *operations =
        eng_cuda_bench_mma(gpu, 8 * eng_cuda_info(gpu).processors, quick ? 16 : 20000, arena);
}

typedef struct {
    void *pinned;
    size_t bytes;
} Upload;

static void launch_upload(void *of, int i)
{
    Upload *u = of;
    (void)i;
    eng_cuda_enqueue_write(gpu, ENG_CU_COMPUTE, arena, u->pinned, u->bytes);
}

static void limits(void)
{
    EngCuBench copy = {.src = arena, .dst = arena + arena_bytes / 2, .bytes = arena_bytes / 2};
    double s = seconds(launch_copy, &copy, at_least(4)), operations = 0;
    copy_s = 2.0 * (double)copy.bytes / s;
    double mma = seconds(launch_mma, &operations, 1);
    mma_s = operations / mma;
    printf("| copy in memory | %zu MiB | %.2f | %.1f GB/s | limit |\n", (size_t)copy.bytes >> 20,
           s * 1e6, copy_s / 1e9);
    printf("| tensor cores, half by half into float | registers | %.2f | %.1f TFLOP/s | limit |\n",
           mma * 1e6, mma_s / 1e12);
    EngError err = {0};
    Upload up = {.bytes = quick ? 1 << 16 : 256 << 20};
    up.pinned = eng_cuda_alloc_host(gpu, up.bytes, "a test", &err);
    CHECK_MSG(up.pinned != NULL, "%s", err.message);
    if (!up.pinned) return;
    for (size_t i = 0; i < up.bytes; i += 8)
        memcpy((uint8_t *)up.pinned + i, &(uint64_t){test_random()}, 8);
    s = seconds(launch_upload, &up, at_least(4));
    printf("| pinned memory to the card | %zu MiB | %.2f | %.1f GB/s | limit |\n", up.bytes >> 20,
           s * 1e6, (double)up.bytes / s / 1e9);
    eng_cuda_free_host(gpu, up.pinned);
}

/* ---- products -------------------------------------------------------------------------------- */

typedef struct {
    EngType type;
    EngCuWeight w;
    EngCuAct act;
    EngCuHalves halves;
    EngCuView dst;
    EngCuChosen chosen;
    EngCuSlots slots;
    int tokens, places; /* matrices in the arena */
} Product;

static Product product_of(EngType type, int cols, int rows, int tokens)
{
    const EngTypeInfo *info = eng_type_info(type);
    Product p = {.type = type, .tokens = tokens};
    p.w = (EngCuWeight){.data = arena, .cols = cols, .rows = rows};
    p.w.row_bytes = (uint64_t)cols / (uint64_t)info->block * (uint64_t)info->bytes;
    p.w.mat_bytes = (p.w.row_bytes * (uint64_t)rows + 255) / 256 * 256;
    p.places = (int)(arena_bytes / p.w.mat_bytes);
    size_t vectors = (size_t)tokens, n = vectors * (size_t)cols;
    p.act.x = device(n * 4, NULL);
    p.act.q = device(n, NULL);
    p.act.scale = device(n / 16 * 4 + 16, NULL);
    p.halves.x = device(n * 2, NULL);
    p.halves.scale = device(vectors * 4, NULL);
    p.dst = (EngCuView){device(vectors * (size_t)rows * 4, NULL), rows, 1, rows, rows};
    return p;
}

static EngCuWeight weight_at(const Product *p, int i)
{
    EngCuWeight w = p->w;
    w.data += (uint64_t)(i % p->places) * w.mat_bytes;
    return w;
}

static void launch_matvec(void *of, int i)
{
    Product *p = of;
    EngCuMatvec a = {.w = weight_at(p, i), .act = p->act, .dst = p->dst, .tokens = p->tokens};
    eng_cuda_matvec(gpu, p->type, &a);
}

static void launch_matmul(void *of, int i)
{
    Product *p = of;
    EngCuMatmul a = {.w = weight_at(p, i), .act = p->halves, .dst = p->dst, .tokens = p->tokens};
    eng_cuda_matmul(gpu, p->type, &a);
}

typedef struct {
    const char *name;
    int cols, rows;
} Shape;

static void matvec_row(EngType type, const Shape *s, int tokens)
{
    char what[64], shape[64];
    snprintf(what, sizeof what, "matvec %s, %d token%s", eng_type_info(type)->name, tokens,
             tokens > 1 ? "s" : "");
    if (!wanted(what)) return;
    int cols = quick ? 256 : s->cols, rows = quick ? 64 : s->rows;
    Product p = product_of(type, cols, rows, tokens);
    double bytes = (double)p.w.row_bytes * rows;
    double t = seconds(launch_matvec, &p, quick ? 1 : ENG_MIN(p.places, 64));
    snprintf(shape, sizeof shape, "%s, %d to %d", s->name, s->cols, s->rows);
    row(what, shape, t, bytes, copy_s);
    gpu_clear();
}

static void matvecs(void)
{
    static const Shape shapes[] = {
        {"dense up", 7168, 18432}, {"shared up", 7168, 2048},  {"shared down", 2048, 7168},
        {"query up", 1536, 24576}, {"query down", 7168, 1536}, {"latent", 7168, 576},
        {"output", 16384, 7168},   {"head", 7168, 129280},
    };
    for (int type = 0; type < ENG_TYPE_COUNT; type++)
        if (eng_type_info((uint32_t)type)->to_f32)
            for (int s = 0; s < 2; s++) matvec_row((EngType)type, &shapes[s], 1);
    for (size_t s = 2; s < ENG_LEN(shapes); s++) {
        matvec_row(ENG_TYPE_Q4_K, &shapes[s], 1);
        matvec_row(ENG_TYPE_Q6_K, &shapes[s], 1);
    }
    for (int tokens = 2; tokens <= ENG_CU_MATVEC_TOKENS; tokens *= 2)
        matvec_row(ENG_TYPE_Q4_K, &shapes[0], tokens);
}

static void matmul_row(EngType type, int tokens, int cols, int rows)
{
    char what[64], shape[64];
    snprintf(what, sizeof what, "GEMM %s", eng_type_info(type)->name);
    if (!wanted(what)) return;
    Product p = product_of(type, quick ? 256 : cols, quick ? 64 : rows, quick ? 16 : tokens);
    double t = seconds(launch_matmul, &p, at_least(8));
    snprintf(shape, sizeof shape, "%d x %d x %d", tokens, cols, rows);
    row(what, shape, t, 2.0 * p.tokens * p.w.cols * p.w.rows, mma_s);
    gpu_clear();
}

/* ---- experts --------------------------------------------------------------------------------- */

enum { EXPERTS = 32, USED = 8, FF = 2048, WIDTH = 7168 };

static void launch_grouped(void *of, int i)
{
    Product *p = of;
    EngCuMatmulExperts a = {.w = weight_at(p, i % 2),
                            .act = p->halves,
                            .slots = p->slots,
                            .dst = p->dst.data,
                            .most = p->tokens};
    eng_cuda_matmul_experts(gpu, p->type, &a);
}

static void grouped_row(EngType type, int each)
{
    char what[64], shape[64];
    int32_t first[EXPERTS + 1];
    snprintf(what, sizeof what, "grouped GEMM %s", eng_type_info(type)->name);
    if (!wanted(what)) return;
    int slots_each = quick ? 4 : each;
    for (int e = 0; e <= EXPERTS; e++) first[e] = e * slots_each;
    Product p = product_of(type, quick ? 256 : WIDTH, quick ? 64 : FF, EXPERTS * slots_each);
    p.slots = (EngCuSlots){.first = device(sizeof first, first), .experts = EXPERTS};
    double t = seconds(launch_grouped, &p, at_least(8));
    snprintf(shape, sizeof shape, "%d experts, %d tokens each, %d to %d", EXPERTS, each, WIDTH, FF);
    row(what, shape, t, 2.0 * p.tokens * p.w.cols * p.w.rows, mma_s);
    gpu_clear();
}

static void launch_up(void *of, int i)
{
    Product *p = of;
    EngCuExperts a = {.w = p->w, .act = p->act, .dst = p->dst, .chosen = p->chosen, .tokens = 1};
    a.dst.heads = USED;
    a.dst.row = USED * p->w.rows;
    a.chosen.ids += i % 4 * USED;
    eng_cuda_experts_up(gpu, p->type, &a);
}

static void launch_down(void *of, int i)
{
    Product *p = of;
    EngCuExperts a = {.w = p->w, .act = p->act, .dst = p->dst, .chosen = p->chosen, .tokens = 1};
    a.chosen.ids += i % 4 * USED;
    eng_cuda_experts_down(gpu, p->type, &a);
}

static void experts_row(EngType type, bool down)
{
    char what[64];
    snprintf(what, sizeof what, "experts %s %s", down ? "down" : "up", eng_type_info(type)->name);
    if (!wanted(what)) return;
    int32_t ids[EXPERTS];
    float weights[EXPERTS];
    for (int i = 0; i < EXPERTS; i++) ids[i] = i * 5 % EXPERTS, weights[i] = 0.1f;
    int cols = down ? FF : WIDTH, rows = down ? WIDTH : FF;
    if (quick) cols = 256, rows = 64;
    Product p = product_of(type, cols, rows, USED);
    p.chosen =
        (EngCuChosen){device(sizeof ids, ids), device(sizeof weights, weights), USED, USED, USED};
    double t = seconds(down ? launch_down : launch_up, &p, at_least(16));
    row(what, "8 of 32, one token", t, (double)USED * (double)p.w.row_bytes * rows, copy_s);
    gpu_clear();
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct {
    EngCuAttn a;
    int form;
    bool many;
    int places;
    size_t cache;
} Attn;

static void launch_attn(void *of, int i)
{
    Attn *p = of;
    EngCuAttn a = p->a;
    a.layer = i % p->places;
    eng_cuda_attn(gpu, p->form, &a, p->many);
}

typedef struct {
    const char *name;
    int heads, n_kv, dk, dv, k_width, v_width;
} AttnShape;

static void attn_row(const AttnShape *s, int form, int tokens, int context)
{
    static const char *const forms[] = {"f16", "f32", "q8_0"};
    char what[64], shape[64];
    snprintf(what, sizeof what, "attention %s %s", s->name, forms[form]);
    if (!wanted(what)) return;
    int rows = quick ? ENG_MIN(tokens, 2) : tokens, cells = quick ? 128 : context;
    size_t row_bytes = form == ENG_CU_KV_Q8_0 ? (size_t)(s->k_width + s->v_width) / 32 * 34
                                              : (size_t)(s->k_width + s->v_width) * 2;
    Attn p = {
        .form = form, .many = tokens > ENG_CU_MATVEC_TOKENS, .cache = row_bytes * (size_t)cells};
    p.cache = (p.cache + 255) / 256 * 256;
    p.places = (int)ENG_MIN((size_t)64, arena_bytes / p.cache);
    EngCuRow *host = malloc((size_t)rows * sizeof *host);
    double products = 0;
    for (int i = 0; i < rows; i++) {
        host[i] = (EngCuRow){arena, p.cache, cells, cells - rows + i};
        products += (host[i].position + 1.0) * s->heads * (s->dk + s->dv);
    }
    int parts =
        p.many ? 1
               : eng_cuda_attn_parts(eng_cuda_info(gpu).processors, rows, s->heads, s->n_kv, cells);
    p.a = (EngCuAttn){
        .q = {device((size_t)rows * (size_t)(s->heads * s->dk) * 4, NULL), s->heads * s->dk,
              s->heads, s->dk, s->dk},
        .dst = {device((size_t)rows * (size_t)(s->heads * s->dv) * 4, NULL), s->heads * s->dv,
                s->heads, s->dv, s->dv},
        .tokens = device((size_t)rows * sizeof *host, host),
        .partial =
            device(eng_cuda_attn_partial_bytes(p.many ? 1 : rows, s->heads, s->dv, parts), NULL),
        .n_kv = s->n_kv,
        .dk = s->dk,
        .dv = s->dv,
        .k_width = s->k_width,
        .v_width = s->v_width,
        .scale = 0.05f,
        .parts = parts,
        .rows = rows};
    double t = seconds(launch_attn, &p, p.many ? 1 : at_least(16));
    snprintf(shape, sizeof shape, "%d token%s at %d", tokens, tokens > 1 ? "s" : "", context);
    if (!p.many) row(what, shape, t, (double)row_bytes * cells, copy_s);
    row(what, shape, t, 2 * products, mma_s);
    free(host);
    gpu_clear();
}

static void attention(void)
{
    static const AttnShape mla = {"MLA 128 heads", 128, 1, 576, 512, 576, 0},
                           gqa = {"GQA 32/4 heads", 32, 4, 128, 128, 512, 512};
    static const int forms[] = {ENG_CU_KV_F16, ENG_CU_KV_Q8_0}, contexts[] = {1024, 8192, 32768};
    for (size_t f = 0; f < ENG_LEN(forms); f++) {
        for (size_t c = 0; c < ENG_LEN(contexts); c++) {
            attn_row(&mla, forms[f], 1, contexts[c]);
            attn_row(&gqa, forms[f], 1, contexts[c]);
        }
        attn_row(&mla, forms[f], 512, 4096);
        attn_row(&gqa, forms[f], 512, 4096);
    }
}

/* ---- small kernels and the hand-over --------------------------------------------------------- */

static EngCuView wide;

static void launch_norm(void *of, int i)
{
    (void)of, (void)i;
    EngCuElem a = {.src = wide, .dst = wide, .eps = 1e-6f, .rows = 1};
    eng_cuda_norm(gpu, &a);
}

static void launch_quantize(void *of, int i)
{
    (void)i;
    EngCuPrepare p = {.src = wide, .q = of, .scale = (float *)((uint8_t *)of + WIDTH), .rows = 1};
    eng_cuda_prepare(gpu, ENG_CU_quantize, &p);
}

static void launch_route(void *of, int i)
{
    (void)i;
    EngCuRoute a = {.logits = {wide.data, 256, 1, 256, 256},
                    .ids = {of, 8, 1, 8, 8},
                    .weights = {(float *)of + 8, 8, 1, 8, 8},
                    .n_used = 8,
                    .n_groups = 8,
                    .n_groups_used = 4,
                    .sigmoid = 1,
                    .group_top2 = 1,
                    .norm = 1,
                    .scale = 2.5f,
                    .rows = 1};
    eng_cuda_route(gpu, &a);
}

typedef struct {
    float *far;
    volatile uint32_t *up, *down;
    uint32_t *turn;
} Hand;

static void launch_hand(void *of, int i)
{
    Hand *h = of;
    EngCuHand a = {.near = {wide},
                   .far = {{h->far, WIDTH, 1, WIDTH, WIDTH}},
                   .n_views = 1,
                   .rows = 1,
                   .flag = h->up + i,
                   .turn = h->turn};
    eng_cuda_publish(gpu, &a);
    a.flag = h->down + i;
    eng_cuda_accept(gpu, &a);
}

/* There and back as often as R1 has layers with experts; the host answers at once. */
static void hand_over(void)
{
    enum { LAYERS = 58, TIMES = 9 };
    EngError err = {0};
    uint32_t *flags = eng_cuda_alloc_host(gpu, 2 * LAYERS * 4, "a test", &err);
    Hand h = {.far = eng_cuda_alloc_host(gpu, WIDTH * 4, "a test", &err),
              .up = flags,
              .down = flags + LAYERS,
              .turn = device(4, NULL)};
    bool ready = flags && h.far && eng_cuda_capture_begin(gpu);
    CHECK_MSG(ready, "%s", err.message);
    if (!ready) return;
    for (int i = 0; i < LAYERS; i++) launch_hand(&h, i);
    EngCuGraphExec *graph = eng_cuda_capture_end(gpu);
    CHECK(graph != NULL);
    if (!graph) return;
    double times[TIMES];
    for (uint32_t turn = 1; turn <= TIMES; turn++) {
        CHECK(eng_cuda_write(gpu, h.turn, &turn, 4, &err));
        double start = eng_sys_now();
        eng_cuda_graph_launch(gpu, graph);
        for (int i = 0; i < LAYERS; i++) {
            while (__atomic_load_n(&h.up[i], __ATOMIC_ACQUIRE) != turn)
                if (eng_sys_now() - start > 20) {
                    printf("hand-over %d never came\n", i);
                    exit(1);
                }
            __atomic_store_n(&h.down[i], turn, __ATOMIC_RELEASE);
        }
        gpu_sync();
        times[turn - 1] = (eng_sys_now() - start) / LAYERS;
    }
    qsort(times, TIMES, sizeof *times, by_value);
    printf("| hand-over there and back | %d numbers, %d in one graph | %.2f | | |\n", WIDTH, LAYERS,
           times[TIMES / 2] * 1e6);
    eng_cuda_graph_free(gpu, graph);
    eng_cuda_free_host(gpu, flags);
    eng_cuda_free_host(gpu, h.far);
}

static void small(void)
{
    if (!wanted("small")) return;
    wide = (EngCuView){device(WIDTH * 4, NULL), WIDTH, 1, WIDTH, WIDTH};
    void *to = device(WIDTH * 4, NULL);
    int n = at_least(200);
    printf("| norm | 7168 | %.2f | | |\n", seconds(launch_norm, NULL, n) * 1e6);
    printf("| quantize | 7168 | %.2f | | |\n", seconds(launch_quantize, to, n) * 1e6);
    printf("| route | 8 of 256 | %.2f | | |\n", seconds(launch_route, to, n) * 1e6);
    hand_over();
    gpu_clear();
}

/* ---------------------------------------------------------------------------------------------- */

static bool open_arena(void)
{
    EngError err = {0};
    enum { PIECE = 64 << 20 };
    arena_bytes = quick ? 2 << 20 : (size_t)3 << 30;
    size_t piece = ENG_MIN(arena_bytes, (size_t)PIECE);
    arena = eng_cuda_alloc(gpu, arena_bytes, "a test", &err);
    uint8_t *bytes = malloc(piece);
    for (size_t i = 0; i < piece; i += 8) memcpy(bytes + i, &(uint64_t){test_random()}, 8);
    bool ok = arena != NULL;
    for (size_t at = 0; ok && at < arena_bytes; at += piece)
        ok = eng_cuda_write(gpu, arena + at, bytes, piece, &err);
    free(bytes);
    if (!ok) printf("%s\n", err.message);
    return ok;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0)
            quick = true;
        else
            only = argv[i];
    if (!gpu_open() || !open_arena()) return 1;
    printf("| what | shape | us | rate | of the limit |\n|---|---|---|---|---|\n");
    limits();
    small();
    matvecs();
    static const EngType gemm[] = {ENG_TYPE_F16,   ENG_TYPE_BF16, ENG_TYPE_Q8_0,
                                   ENG_TYPE_Q4_K,  ENG_TYPE_Q6_K, ENG_TYPE_IQ4_XS,
                                   ENG_TYPE_MXFP4, ENG_TYPE_Q2_K, ENG_TYPE_IQ2_XXS};
    for (size_t i = 0; i < ENG_LEN(gemm); i++) matmul_row(gemm[i], 4096, WIDTH, FF);
    matmul_row(ENG_TYPE_Q4_K, 512, WIDTH, FF);
    matmul_row(ENG_TYPE_Q4_K, 4096, FF, WIDTH);
    for (int each = 16; each <= 256; each *= 4) grouped_row(ENG_TYPE_Q4_K, each);
    grouped_row(ENG_TYPE_Q6_K, 64);
    for (int down = 0; down < 2; down++) {
        experts_row(ENG_TYPE_Q4_K, down);
        experts_row(ENG_TYPE_IQ2_XXS, down);
    }
    attention();
    eng_cuda_free(gpu, arena);
    eng_cuda_close(gpu);
    return test_failures_ > 0;
}
