/* Rows of matrices as pieces of work: which node's they are, and who takes them next. */
#include "base/num.h"
#include "cpu/cpu.h"

/* Rows of the set that a node reads. */
static int64_t node_rows(const EngWeight *w, int node, int64_t *ret_first)
{
    const EngSplit *s = w->split;
    *ret_first = s ? s->first[node] : 0;
    if (!s) return node == 0 ? w->rows : 0;
    return s->first[node + 1] - s->first[node];
}

static int64_t row_tiles(const EngCpuTiles *t, int set, int node, int64_t *ret_first)
{
    return (node_rows(t->w[set], node, ret_first) + t->tile[set] - 1) / t->tile[set];
}

static void number(EngCpuTiles *t, int n_nodes)
{
    int64_t end = 0, first;
    for (int node = 0; node < n_nodes; node++)
        for (int set = 0; set < t->n; set++)
            t->end[node][set] = end += t->times * row_tiles(t, set, node, &first);
}

static EngCpuTile tile_at(const EngCpuTiles *t, int node, int64_t begin, int64_t i)
{
    EngCpuTile tile = {0};
    for (i += begin; i >= t->end[node][tile.set]; tile.set++) begin = t->end[node][tile.set];
    int64_t first, tiles = row_tiles(t, tile.set, node, &first), end = first;
    end += node_rows(t->w[tile.set], node, &first);
    tile.time = (i - begin) / tiles;
    tile.row0 = (int)(first + (i - begin) % tiles * t->tile[tile.set]);
    tile.rows = (int)ENG_MIN(t->tile[tile.set], end - tile.row0);
    return tile;
}

static void node_tiles(EngCpu *cpu, const EngCpuTiles *t, int node, EngCpuPiece *work,
                       EngCpuPiece *ask, const void *arg, int thread)
{
    int64_t begin = node ? t->end[node - 1][t->n - 1] : 0, n = t->end[node][t->n - 1] - begin;
    /* from there on nobody takes two */
    int64_t last = n - 4 * eng_pool_threads(cpu->pool) / eng_pool_nodes(cpu->pool);
    for (int64_t i = eng_pool_next_of(cpu->pool, node, n), next; i >= 0; i = next) {
        if (eng_cpu_is_stopped(cpu)) return;
        EngCpuTile tile = tile_at(t, node, begin, i);
        bool early = cpu->rows == 1 && i < last;
        next = early ? eng_pool_next_of(cpu->pool, node, n) : -1;
        if (next >= 0) {
            EngCpuTile following = tile_at(t, node, begin, next);
            ask(cpu, arg, &following, thread);
        }
        work(cpu, arg, &tile, thread);
        if (!early) next = eng_pool_next_of(cpu->pool, node, n);
    }
}

void eng_cpu_tiles(EngCpu *cpu, EngCpuTiles *tiles, EngCpuPiece *work, EngCpuPiece *ask,
                   const void *arg, int thread)
{
    int n_nodes = eng_pool_nodes(cpu->pool), own = eng_pool_node(cpu->pool, thread);
    number(tiles, n_nodes);
    for (int i = 0; i < n_nodes; i++)
        node_tiles(cpu, tiles, (own + i) % n_nodes, work, ask, arg, thread);
}

/* Row kernels read four streams (x86/rows.h) and ask ahead in each; here is what no one asked for.
 */
void eng_cpu_ask(const EngWeight *w, int64_t mat, int64_t row0, int rows)
{
    enum { STREAMS = 4, BEGIN = 768 };
    size_t apart = (size_t)ENG_MAX(rows / STREAMS, 1) * w->row_bytes;
    const uint8_t *p = eng_weight_rows(w, mat, row0);
    for (size_t at = 0; at < ENG_MIN(apart, BEGIN); at += 64)
        for (size_t s = 0; s < STREAMS; s++) __builtin_prefetch(p + s * apart + at);
}
