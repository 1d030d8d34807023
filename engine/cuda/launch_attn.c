#include "cuda/launch_attn.h"

#include "base/num.h"

enum { KV_THREADS = 256, THREADS = 256, MERGE_THREADS = 128, CELLS = 64, BLOCKS_EACH = 4 };

void eng_cuda_kv_store(EngCuda *cuda, int form, const EngCuKvStore *args)
{
    if (args->rows > 0)
        eng_cuda_launch(cuda, ENG_CU_kv_store + form,
                        (EngCuGrid){(unsigned)args->rows, 1, 1, KV_THREADS, 0}, args);
}

/* Tiles of heads of one KV head, and heads in each, as attn.cu cuts them. */
static int head_tiles(int heads, int n_kv, int *ret_heads)
{
    int group = heads / n_kv, tiles = (group + ENG_CU_ATTN_QUERIES - 1) / ENG_CU_ATTN_QUERIES;
    *ret_heads = (group + tiles - 1) / tiles;
    return tiles;
}

void eng_cuda_attn(EngCuda *cuda, int form, const EngCuAttn *args, bool many)
{
    if (args->rows <= 0) return;
    int heads, rows = args->rows,
               tiles = args->n_kv * head_tiles(args->q.heads, args->n_kv, &heads);
    if (many) {
        int tokens = ENG_CU_ATTN_QUERIES / heads;
        eng_cuda_launch(
            cuda, ENG_CU_attn_many + form,
            (EngCuGrid){(unsigned)((rows + tokens - 1) / tokens), (unsigned)tiles, 1, THREADS, 0},
            args);
        return;
    }
    eng_cuda_launch(cuda, ENG_CU_attn_split + form,
                    (EngCuGrid){(unsigned)args->parts, (unsigned)tiles, (unsigned)rows, THREADS, 0},
                    args);
    eng_cuda_launch(cuda, ENG_CU_attn_merge,
                    (EngCuGrid){(unsigned)(rows * args->q.heads), 1, 1, MERGE_THREADS, 0}, args);
}

int eng_cuda_attn_parts(int processors, int rows, int heads, int n_kv, int context)
{
    int unused, blocks = rows * n_kv * head_tiles(heads, n_kv, &unused);
    int wanted = (BLOCKS_EACH * processors + blocks - 1) / blocks;
    int most = ENG_MIN(ENG_CU_ATTN_PARTS, (context + CELLS - 1) / CELLS);
    return ENG_MAX(1, ENG_MIN(wanted, most));
}

size_t eng_cuda_attn_partial_bytes(int rows, int heads, int dv, int parts)
{
    return (size_t)rows * (size_t)heads * (size_t)parts * (size_t)(dv + 2) * sizeof(float);
}

size_t eng_cuda_attn_partial_most(int processors, int most_rows, int heads, int n_kv, int dv)
{
    size_t most = 0;
    for (int rows = 1; rows <= most_rows; rows++) {
        int parts = eng_cuda_attn_parts(processors, rows, heads, n_kv, ENG_CU_ATTN_PARTS * CELLS);
        most = ENG_MAX(most, eng_cuda_attn_partial_bytes(rows, heads, dv, parts));
    }
    return most;
}
