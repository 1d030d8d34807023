/* Speed of the matmul kernels, in tiles as the engine calls them: 32 rows of 2048 numbers, weights
 * streamed from a buffer that no cache holds. One token is bound by memory: read its GB/s of
 * weights. Many tokens are bound by arithmetic: read Gop/s, two per multiplied pair.
 *
 * Time is the processor time of this process, for other work on the machine moves the clock's;
 * levels alternate, and the best of 5 is printed. */
#define TEST_PART
#include "check.h"

enum { BENCH_N = 2048, BENCH_ROWS = 32, BENCH_ROUNDS = 5 };
static const int64_t bench_buffer = 192 << 20;

typedef struct {
    EngType type;
    size_t row, x_row;
    int64_t n_tiles;
    uint8_t *w, *x;
    float *y;
} Bench;

static Bench bench_new(EngType type, int max_tokens)
{
    const EngTypeInfo *info = eng_type_info(type);
    Bench b = {.type = type,
               .row = eng_row_bytes(type, BENCH_N),
               .x_row = eng_act_row_bytes(info->act, BENCH_N)};
    size_t tile = b.row * BENCH_ROWS;
    b.n_tiles = bench_buffer / (int64_t)tile;
    b.w = malloc((size_t)b.n_tiles * tile);
    b.x = malloc((size_t)max_tokens * b.x_row);
    b.y = malloc((size_t)max_tokens * BENCH_ROWS * sizeof *b.y);
    fill_weights(type, WEIGHTS_RANDOM, (Rows){b.w, b.row}, BENCH_ROWS, BENCH_N);
    for (int64_t i = 1; i < b.n_tiles; i++) memcpy(b.w + (size_t)i * tile, b.w, tile);
    float *x = malloc(BENCH_N * sizeof *x);
    for (int t = 0; t < max_tokens; t++) {
        fill_floats(ACT_RANDOM, x, BENCH_N);
        eng_kernels(ENG_CPU_C)->quantize[info->act](x, b.x + (size_t)t * b.x_row, BENCH_N);
    }
    free(x);
    return b;
}

static double seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Seconds per tile, over about 40 ms or the whole buffer. */
static double bench_once(const Bench *b, EngMatmulFn *matmul, int tokens)
{
    double start = seconds(), now = start;
    int64_t i = 0;
    while (i < b->n_tiles && now - start < 0.04) {
        for (int64_t end = ENG_MIN(i + 16, b->n_tiles); i < end; i++)
            matmul(BENCH_N, BENCH_ROWS, tokens, b->w + (size_t)i * b->row * BENCH_ROWS, b->row,
                   b->x, b->x_row, b->y, BENCH_ROWS);
        now = seconds();
    }
    return (now - start) / (double)i;
}

static void bench_type(EngType type)
{
    static const int tokens[] = {1, 2, 4, 8, 16, 32, 128};
    Bench b = bench_new(type, tokens[ENG_LEN(tokens) - 1]);
    double best[ENG_CPU_COUNT][ENG_LEN(tokens)];
    int top = (int)eng_cpu_level_machine();
    for (int round = 0; round < BENCH_ROUNDS; round++)
        for (size_t t = 0; t < ENG_LEN(tokens); t++)
            for (int level = ENG_CPU_C; level <= top; level++) {
                if (!eng_cpu_has((EngCpuLevel)level)) continue;
                EngMatmulFn *matmul = eng_kernels((EngCpuLevel)level)->matmul[type];
                double s = bench_once(&b, matmul, tokens[t]);
                if (round == 0 || s < best[level][t]) best[level][t] = s;
            }
    EngMatmulFn *below = NULL;
    for (int level = ENG_CPU_C; level <= top; level++) {
        EngMatmulFn *matmul = eng_kernels((EngCpuLevel)level)->matmul[type];
        if (!eng_cpu_has((EngCpuLevel)level) || matmul == below) continue;
        below = matmul;
        printf("%-5s %-7s %5.1f GB/s ", eng_type_info(type)->name, eng_cpu_level_names[level],
               (double)b.row * BENCH_ROWS / best[level][0] * 1e-9);
        for (size_t t = 0; t < ENG_LEN(tokens); t++)
            printf(" %4d: %6.1f", tokens[t],
                   2e-9 * BENCH_N * BENCH_ROWS * tokens[t] / best[level][t]);
        printf("  Gop/s by tokens\n");
    }
    free(b.w);
    free(b.x);
    free(b.y);
}

int bench(int argc, char **argv)
{
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        const EngTypeInfo *info = eng_type_info(type);
        bool wanted = info->to_f32 && argc == 0;
        for (int i = 0; i < argc; i++) wanted |= info->to_f32 && strcmp(argv[i], info->name) == 0;
        if (wanted) bench_type((EngType)type);
    }
    return 0;
}
