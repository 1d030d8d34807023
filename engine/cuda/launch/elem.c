#include "cuda/launch/elem.h"

#include "base/num.h"

enum { THREADS = 256, MOST_Y = 65535, HAND_BLOCKS = 8, COPY_BLOCKS = 16 };

/* Blocks in x for n numbers of a row, in y for rows; kernels walk on by whole grids. */
static EngCuGrid flat(int n, int rows)
{
    return (EngCuGrid){.x = (unsigned)ENG_MAX(1, (n + THREADS - 1) / THREADS),
                       .y = (unsigned)ENG_MIN(rows, MOST_Y),
                       .z = 1,
                       .threads = THREADS};
}

/* Four numbers a thread, then several rounds: long enough not to be all barrier. */
void eng_cuda_norm(EngCuda *cuda, const EngCuElem *args)
{
    unsigned threads = 32;
    while (threads < 1024 && (int)threads * 4 < args->src.n) threads *= 2;
    if (args->rows > 0)
        eng_cuda_launch(cuda, ENG_CU_rms_norm,
                        (EngCuGrid){(unsigned)(args->rows * args->src.heads), 1, 1, threads, 0},
                        args);
}

void eng_cuda_turn(EngCuda *cuda, const EngCuTurn *args)
{
    int warps = 0, per = THREADS / 32;
    for (int i = 0; i < args->n_jobs; i++) warps += args->jobs[i].src.heads;
    if (args->rows > 0 && warps > 0)
        eng_cuda_launch(
            cuda, ENG_CU_turn,
            (EngCuGrid){(unsigned)((warps + per - 1) / per), (unsigned)args->rows, 1, THREADS, 0},
            args);
}

void eng_cuda_glu(EngCuda *cuda, const EngCuElem *args)
{
    int items = args->src.heads * args->src.n;
    if (args->rows > 0) eng_cuda_launch(cuda, ENG_CU_glu, flat(items, args->rows), args);
}

void eng_cuda_add(EngCuda *cuda, const EngCuElem *args)
{
    if (args->rows > 0) eng_cuda_launch(cuda, ENG_CU_add, flat(args->src.n, args->rows), args);
}

void eng_cuda_rope(EngCuda *cuda, const EngCuElem *args)
{
    int items = args->src.heads * (args->dims / 2 + args->src.n - args->dims);
    if (args->rows > 0) eng_cuda_launch(cuda, ENG_CU_rope, flat(items, args->rows), args);
}

void eng_cuda_select(EngCuda *cuda, const EngCuElem *args)
{
    bool in_place = args->src.data == args->dst.data;
    if (args->rows > 0)
        eng_cuda_launch(cuda, ENG_CU_select_rows, flat(args->src.n, in_place ? 1 : args->rows),
                        args);
}

void eng_cuda_topk(EngCuda *cuda, const EngCuTopk *args)
{
    if (args->rows > 0 && args->n > 0)
        eng_cuda_launch(cuda, ENG_CU_topk, (EngCuGrid){(unsigned)args->rows, 1, 1, 1024, 0}, args);
}

void eng_cuda_route(EngCuda *cuda, const EngCuRoute *args)
{
    size_t shared = (size_t)args->logits.n * (3 * sizeof(float) + 2);
    if (args->rows > 0)
        eng_cuda_launch(cuda, ENG_CU_route, (EngCuGrid){(unsigned)args->rows, 1, 1, 32, shared},
                        args);
}

/* Also with no token: every expert's slots are then none. */
void eng_cuda_moe_group(EngCuda *cuda, const EngCuMoe *args)
{
    eng_cuda_launch(cuda, ENG_CU_moe_group,
                    (EngCuGrid){(unsigned)args->slots.experts, 1, 1, THREADS, 0}, args);
}

void eng_cuda_moe_combine(EngCuda *cuda, const EngCuMoe *args)
{
    if (args->tokens > 0)
        eng_cuda_launch(cuda, ENG_CU_moe_combine, flat(args->dst.n, args->tokens), args);
}

/* Some blocks are enough for the bus; one token is one block's. */
static EngCuGrid hand_grid(const EngCuHand *args, int per)
{
    int most = 0;
    for (int v = 0; v < args->n_views; v++)
        most = ENG_MAX(most, args->rows * args->near[v].heads * args->near[v].n);
    unsigned blocks = (unsigned)ENG_MAX(1, ENG_MIN(HAND_BLOCKS, (most + per - 1) / per));
    return (EngCuGrid){blocks, 1, 1, 1024, 0};
}

void eng_cuda_publish(EngCuda *cuda, const EngCuHand *args)
{
    eng_cuda_launch(cuda, ENG_CU_publish, hand_grid(args, 16384), args);
}

void eng_cuda_accept(EngCuda *cuda, const EngCuHand *args)
{
    eng_cuda_launch(cuda, ENG_CU_accept, hand_grid(args, 4096), args);
}

void eng_cuda_bench_copy(EngCuda *cuda, const EngCuBench *args)
{
    unsigned blocks = (unsigned)eng_cuda_info(cuda).processors * COPY_BLOCKS;
    eng_cuda_launch(cuda, ENG_CU_bench_copy, (EngCuGrid){blocks, 1, 1, THREADS, 0}, args);
}
