/* Grids of matvec_T, experts_up_T, experts_down_T and of what prepares activations. */
#include "cuda/launch/matvec.h"
#include "base/num.h"
#include "cuda/kernels/matvec_shape.h"

/* As many threads as a large card holds at once. Each has pieces of two rows under way, 30 bytes
 * and more, which is more than memory needs to be busy (3 TB/s with 0.7 us: 2 MB); but a small
 * matrix is read in one go then, and not in a row of goes that each wait for memory. */
enum { ENOUGH_THREADS = 128 * 1024 };

/* Threads that share two rows of `parts` pieces. A warp where the row has as many; fewer, or lanes
 * would have nothing to do; more, where there are few rows (`pairs` of all matrices). */
static int lanes(int64_t pairs, int64_t parts)
{
    int n = 8;
    while (n < 32 && 2 * n <= parts) n *= 2;
    while (n < MATVEC_THREADS && 2 * n <= parts && pairs * n < ENOUGH_THREADS) n *= 2;
    return n;
}

static int64_t pairs_of(const EngCuWeight *w)
{
    return ((int64_t)w->rows + MATVEC_ROWS - 1) / MATVEC_ROWS;
}

static int64_t parts_of(EngType type, const EngCuWeight *w)
{
    const EngTypeInfo *info = eng_type_info(type);
    int per = info->act == ENG_ACT_F32 ? 8 : info->block > 32 ? 64 : 32;
    return ((int64_t)w->cols + per - 1) / per;
}

static unsigned blocks_of(int64_t pairs, int n_lanes)
{
    int64_t per = MATVEC_THREADS / n_lanes;
    return (unsigned)((pairs + per - 1) / per);
}

void eng_cuda_matvec(EngCuda *cuda, EngType type, const EngCuMatvec *args)
{
    EngCuMatvec a = *args;
    if (a.tokens <= 0 || a.w.rows <= 0) return;
    int64_t pairs = pairs_of(&a.w), all = pairs * a.dst.heads;
    for (int i = 0; i < a.n_more; i++) {
        int64_t more = pairs_of(&a.more[i].w);
        all += more;
        pairs = ENG_MAX(pairs, more);
    }
    a.lanes = lanes(all, parts_of(type, &a.w));
    unsigned eights = (unsigned)(a.tokens + ENG_CU_MATVEC_TOKENS - 1) / ENG_CU_MATVEC_TOKENS;
    int kernel = (a.tokens == 1 ? ENG_CU_matvec : ENG_CU_matvec_few) + (int)type;
    ENG_CUDA_LAUNCH(cuda, kernel, &a, .x = blocks_of(pairs, a.lanes),
                    .y = (unsigned)(a.dst.heads + a.n_more), .z = eights,
                    .threads = MATVEC_THREADS);
}

void eng_cuda_experts_up(EngCuda *cuda, EngType type, const EngCuExperts *args)
{
    EngCuExperts a = *args;
    if (a.tokens <= 0 || a.w.rows <= 0 || a.chosen.n_used <= 0) return;
    int64_t pairs = a.up.rows > 0 ? a.w.rows : pairs_of(&a.w);
    a.lanes = lanes(pairs * a.chosen.n_used, parts_of(type, &a.w));
    ENG_CUDA_LAUNCH(cuda, ENG_CU_experts_up + (int)type, &a, .x = blocks_of(pairs, a.lanes),
                    .y = (unsigned)a.chosen.n_used, .z = (unsigned)a.tokens,
                    .threads = MATVEC_THREADS);
}

void eng_cuda_experts_down(EngCuda *cuda, EngType type, const EngCuExperts *args)
{
    EngCuExperts a = *args;
    if (a.tokens <= 0 || a.w.rows <= 0 || a.chosen.n_used <= 0) return;
    int64_t pairs = pairs_of(&a.w);
    a.lanes = lanes(pairs, parts_of(type, &a.w) * a.chosen.n_used);
    ENG_CUDA_LAUNCH(cuda, ENG_CU_experts_down + (int)type, &a, .x = blocks_of(pairs, a.lanes),
                    .y = (unsigned)a.tokens, .z = 1, .threads = MATVEC_THREADS);
}

void eng_cuda_prepare(EngCuda *cuda, EngCuKernel kind, const EngCuPrepare *args)
{
    int64_t vectors = (int64_t)args->rows * args->src.heads, groups = vectors * (args->src.n / 32);
    enum { WARPS = PREPARE_THREADS / 32 };
    int64_t blocks = kind == ENG_CU_quantize ? (groups + WARPS - 1) / WARPS : vectors;
    if (blocks <= 0) return;
    ENG_CUDA_LAUNCH(cuda, (int)kind, args, .x = (unsigned)blocks, .y = 1, .z = 1,
                    .threads = PREPARE_THREADS);
}
