#include "cuda/launch/attn.h"

#include "base/num.h"
#include "cuda/kernels/attn/attn_shape.h"

enum { KV_THREADS = 256, FEW_BLOCKS_EACH = 3 };

void eng_cuda_kv_store(EngCuda *cuda, int form, const EngCuKvStore *args)
{
    if (args->rows > 0)
        eng_cuda_launch(cuda, ENG_CU_kv_store + form,
                        (EngCuGrid){(unsigned)args->rows, 1, 1, KV_THREADS, 0}, args);
}

/* ---- the form of a block --------------------------------------------------------------------- */

/* Dynamic shared memory as attn_mma.cu lays it out. */
static size_t shared_of(const EngCuAttn *a, int form, bool tall)
{
    bool apart = a->v_width > 0;
    int row = ATTN_PITCH(a->dk) + (apart ? ATTN_PITCH(a->dv) : 0);
    int raw = ATTN_RAW_PITCH(a->dk) + (apart ? ATTN_RAW_PITCH(a->dv) : 0);
    int query = 2 * ATTN_PITCH(a->dk) + (int)(sizeof(void *) + sizeof(int));
    if (!tall) query += 2 * ATTN_WEIGHTS_PITCH(a->cells) + ATTN_COLUMN_WARPS * (int)sizeof(float);
    return (size_t)(ATTN_TILE_BYTES + 2 * a->stages * a->cells * row + a->queries * query +
                    (form == ENG_CU_KV_Q8_0 ? a->cells * raw : 0));
}

typedef struct {
    int kernel, queries, least_queries, least_cells, threads, blocks; /* at once, if they fit */
} Form;

static const Form forms[] = {
    {ENG_CU_attn_tall_f16, ATTN_TALL_QUERIES, ATTN_WARP_QUERIES, 32, ATTN_TALL_THREADS, 2},
    {ENG_CU_attn_wide_f16, ATTN_WIDE_QUERIES, ATTN_WARP_QUERIES, 16, ATTN_WIDE_THREADS, 1},
    {ENG_CU_attn_few_f16, ATTN_FEW_QUERIES, ATTN_FEW_QUERIES, 16, ATTN_FEW_THREADS, 2},
};

/* The most queries, then cells of a tile, that leave room for the next tile to come meanwhile; or
 * that fit at all. (q8_0 comes into a room of its own.) */
static bool fill(EngCuAttn *a, int form, const Form *f, int shared)
{
    bool tall = f->kernel == ENG_CU_attn_tall_f16;
    int most_stages = form == ENG_CU_KV_Q8_0 ? 1 : 2;
    for (int blocks = f->blocks; blocks > 0; blocks--)
        for (a->stages = most_stages; a->stages > (blocks > 1 ? most_stages - 1 : 0); a->stages--)
            for (a->queries = f->queries; a->queries >= f->least_queries; a->queries /= 2)
                for (a->cells = ATTN_CELLS; a->cells >= ENG_MAX(f->least_cells, 16 * blocks);
                     a->cells /= 2) {
                    if (blocks > 1 && a->queries < f->queries) continue;
                    if (shared_of(a, form, tall) <= (size_t)(shared / blocks)) return true;
                }
    return false;
}

/* Fewer than 17 heads of a token: few. Many tokens: tall, unless a warp's registers do not hold a
 * value's sums. What needs more shared memory than there is comes down to few. */
EngCuAttnPlan eng_cuda_attn_plan(int shared, int form, const EngCuAttn *args, bool many)
{
    EngCuAttnPlan plan = {.args = *args};
    EngCuAttn *a = &plan.args;
    bool few = !many && a->q.heads / a->n_kv <= ATTN_FEW_QUERIES;
    if (many) a->parts = 0;
    if (form == ENG_CU_KV_F32) {
        plan.kernel = ENG_CU_attn_f32, plan.threads = ATTN_F32_THREADS;
        a->queries = ATTN_F32_QUERIES;
        return plan;
    }
    for (const Form *f = forms + (few                             ? 2
                                  : many && a->dv <= ATTN_TALL_DV ? 0
                                                                  : 1);
         f < forms + ENG_LEN(forms); f++) {
        if (!fill(a, form, f, shared)) continue;
        plan.kernel = f->kernel, plan.threads = (unsigned)f->threads;
        if (form == ENG_CU_KV_Q8_0) plan.kernel += ENG_CU_attn_few_q8_0 - ENG_CU_attn_few_f16;
        plan.shared = shared_of(a, form, f == forms);
        break;
    }
    return plan;
}

bool eng_cuda_attn_fits(int shared, int dk, int dv, bool inside)
{
    EngCuAttn a = {.q = {.heads = 1}, .n_kv = 1, .dk = dk, .dv = dv, .v_width = inside ? 0 : dv};
    return dv <= ENG_CU_ATTN_DV && eng_cuda_attn_plan(shared, ENG_CU_KV_Q8_0, &a, false).kernel;
}

/* Tiles of heads of one KV head, and heads in each, as attn.cuh cuts them. */
static int head_tiles(int heads, int n_kv, int queries, int *ret_heads)
{
    int group = heads / n_kv, tiles = (group + queries - 1) / queries;
    *ret_heads = (group + tiles - 1) / tiles;
    return tiles;
}

void eng_cuda_attn(EngCuda *cuda, int form, const EngCuAttn *args, bool many)
{
    if (args->rows <= 0) return;
    EngCuAttnPlan p = eng_cuda_attn_plan(eng_cuda_info(cuda).shared, form, args, many);
    int heads, rows = args->rows;
    unsigned tiles =
        (unsigned)(args->n_kv * head_tiles(args->q.heads, args->n_kv, p.args.queries, &heads));
    EngCuGrid grid = {(unsigned)args->parts, tiles, (unsigned)rows, p.threads, p.shared};
    if (many) {
        int tokens = p.args.queries / heads;
        grid.x = (unsigned)((rows + tokens - 1) / tokens), grid.z = 1;
    }
    eng_cuda_launch(cuda, p.kernel, grid, &p.args);
    if (many) return;
    unsigned columns = (unsigned)(args->dv + ATTN_MERGE_THREADS - 1) / ATTN_MERGE_THREADS;
    ENG_CUDA_LAUNCH(cuda, ENG_CU_attn_merge, &p.args, (unsigned)(rows * args->q.heads), columns, 1,
                    ATTN_MERGE_THREADS, 0);
}

/* ---- parts of a past ------------------------------------------------------------------------- */

/* Blocks of more than 16 queries fill a processor alone. Rather a block too few than one that runs
 * when all others are done. */
int eng_cuda_attn_parts(int processors, int rows, int heads, int n_kv, int context)
{
    bool few = heads / n_kv <= ATTN_FEW_QUERIES;
    int unused, blocks = rows * n_kv * head_tiles(heads, n_kv, ATTN_WIDE_QUERIES, &unused);
    int wanted = (few ? FEW_BLOCKS_EACH : 1) * processors / blocks;
    int most = ENG_MIN(ENG_CU_ATTN_PARTS, (context + ATTN_CELLS - 1) / ATTN_CELLS);
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
        int parts =
            eng_cuda_attn_parts(processors, rows, heads, n_kv, ENG_CU_ATTN_PARTS * ATTN_CELLS);
        most = ENG_MAX(most, eng_cuda_attn_partial_bytes(rows, heads, dv, parts));
    }
    return most;
}
