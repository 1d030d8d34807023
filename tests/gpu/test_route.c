/* Routing beside the engine's own op on the CPU: the same experts in the same order, weights within
 * 1e-6 relative and, of n experts, n * 2^-25 for the CPU's sum of them one by one. Grouping beside
 * a sort by hand: the same slots. Combining beside sums in double precision, within 1e-6 of the
 * terms' size. */
#include "elem_inputs.h"

#include "base/num.h"
#include "cpu/cpu.h"
#include "cuda/launch/elem.h"

/* ---- route ---- */

typedef struct {
    EngCuRoute args;
    Buffer logits, ids, weights;
    float *bias;
} Route;

/* Kinds: random; few different logits, so that ties decide; some not finite; differences so large
 * that most scores are 0. */
static void route_logits(Route *r, int rows, int kind)
{
    for (int t = 0; t < rows; t++)
        for (int i = 0; i < r->args.logits.n; i++) {
            float *x = r->logits.host + buffer_index(&r->logits, t, 0, i);
            if (kind == 1) *x = (float)test_range(-2, 2);
            if (kind == 2 && test_range(0, 9) == 0)
                *x = test_range(0, 2) ? (test_range(0, 1) ? NAN : -INFINITY) : INFINITY;
            if (kind == 3) *x *= 60;
        }
    buffer_write(&r->logits);
}

static Route route_new(int rows, int kind)
{
    Route r = {.args = {.rows = rows}};
    int size = test_range(1, 40), groups = test_range(1, 12), n = size * groups;
    bool grouped = groups > 1 && test_range(0, 1);
    r.args.n_groups = grouped ? groups : 1;
    r.args.n_groups_used = grouped ? test_range(1, groups) : 1;
    r.args.n_used = test_range(1, ENG_MIN(12, grouped ? size * r.args.n_groups_used : n));
    r.args.sigmoid = test_range(0, 1), r.args.norm = test_range(0, 1);
    r.args.group_top2 = test_range(0, 1);
    r.args.scale = test_range(0, 1) ? 2.5f : 1;
    r.logits = buffer_new(rows, 1, n, 4);
    r.ids = buffer_new(rows, 1, r.args.n_used, 1);
    r.weights = buffer_new(rows, 1, r.args.n_used, 1);
    r.args.logits = r.logits.view, r.args.ids = r.ids.view, r.args.weights = r.weights.view;
    route_logits(&r, rows, kind);
    if (test_range(0, 1)) {
        r.bias = malloc((size_t)n * sizeof *r.bias);
        for (int i = 0; i < n; i++) r.bias[i] = kind == 1 ? 0.5f : test_float();
        r.args.bias = device((size_t)n * sizeof *r.bias, r.bias);
    }
    return r;
}

/* What the CPU says: ids and weights of [rows][n_used], logits packed. */
static void route_on_cpu(const Route *r, EngPool *pool, int32_t *ids, float *weights)
{
    int n = r->args.logits.n, k = r->args.n_used, rows = r->args.rows, widths[] = {n, k, k};
    float *logits = malloc((size_t)(rows * n) * sizeof *logits);
    for (int i = 0; i < rows * n; i++)
        logits[i] = r->logits.old[buffer_index(&r->logits, i / n, 0, i % n)];
    EngGraph graph = {.widths = {.data = widths}};
    float *buffers[] = {logits, (float *)(void *)ids, weights};
    EngCpu cpu = {.graph = &graph, .pool = pool, .buffers = buffers, .rows = rows};
    EngOp op = {.kind = ENG_OP_ROUTE, .src = {0, 0, 1, n, n}, .dst = {1, 0, 1, k, k}};
    op.route = (EngOpRoute){.bias = r->bias,
                            .weights = {2, 0, 1, k, k},
                            .n_used = k,
                            .n_groups = r->args.n_groups,
                            .n_groups_used = r->args.n_groups_used,
                            .gate = r->args.sigmoid ? ENG_GATE_SIGMOID : ENG_GATE_SOFTMAX,
                            .group_top2 = r->args.group_top2,
                            .norm = r->args.norm,
                            .scale = r->args.scale};
    eng_pool_rewind(pool);
    eng_cpu_op_route(&cpu, &op, 0);
    free(logits);
}

static void check_route(Route *r, EngPool *pool)
{
    int k = r->args.n_used, rows = r->args.rows;
    float bound = 1e-6f + (float)r->args.logits.n * 0x1p-25f; /* and subnormals' few digits */
    int32_t *ids = malloc((size_t)(rows * k) * sizeof *ids);
    float *weights = malloc((size_t)(rows * k) * sizeof *weights);
    route_on_cpu(r, pool, ids, weights);
    buffer_read(&r->ids), buffer_read(&r->weights);
    for (int i = 0; i < rows * k; i++) {
        int32_t id;
        memcpy(&id, r->ids.host + buffer_index(&r->ids, i / k, 0, i % k), sizeof id);
        float got = r->weights.host[buffer_index(&r->weights, i / k, 0, i % k)];
        CHECK_MSG(id == ids[i], "token %d's expert %d is %d, not %d", i / k, i % k, id, ids[i]);
        CHECK_MSG(fabsf(got - weights[i]) <= bound * fabsf(weights[i]) + 0x1p-140f ||
                      (isnan(got) && isnan(weights[i])),
                  "weight %d is %.9g, not %.9g", i, (double)got, (double)weights[i]);
    }
    check_rest(&r->ids, rows), check_rest(&r->weights, rows);
    free(ids), free(weights);
}

/* Sorted, they are what the same kernel gives unsorted: larger weights first, NaN before all, of
 * equal ones what was chosen first. */
static void check_sorted(Route *r)
{
    int k = r->args.n_used, rows = r->args.rows;
    Buffer ids = r->ids, weights = r->weights;
    size_t n_ids = ids.count * sizeof *ids.host, n_weights = weights.count * sizeof(float);
    ids.host = malloc(n_ids), weights.host = malloc(n_weights);
    r->args.by_weight = 1;
    eng_cuda_route(gpu, &r->args);
    gpu_sync();
    buffer_read(&ids), buffer_read(&weights);
    for (int t = 0; t < rows; t++) {
        const float *was = r->weights.host + buffer_index(&weights, t, 0, 0);
        for (int i = 0; i < k; i++) {
            int place = 0;
            for (int j = 0; j < k; j++) {
                bool more = isnan(was[j]) ? !isnan(was[i]) : was[j] > was[i];
                bool less = isnan(was[i]) ? !isnan(was[j]) : was[i] > was[j];
                place += more || (!less && j < i);
            }
            size_t from = buffer_index(&ids, t, 0, i), to = buffer_index(&ids, t, 0, place);
            CHECK(memcmp(ids.host + to, r->ids.host + from, sizeof(int32_t)) == 0);
            to = buffer_index(&weights, t, 0, place);
            CHECK(memcmp(weights.host + to, was + i, sizeof *was) == 0);
        }
    }
    check_rest(&ids, rows), check_rest(&weights, rows);
    free(ids.host), free(weights.host);
}

static void routes_of(int kind)
{
    EngPool *pool = eng_pool_new(1, NULL, NULL);
    for (int round = 0; round < 60 && test_failures_ < 5; round++) {
        Route r = route_new(test_range(1, 4), kind);
        eng_cuda_route(gpu, &r.args);
        gpu_sync();
        check_route(&r, pool);
        check_sorted(&r);
        buffer_free(&r.logits), buffer_free(&r.ids), buffer_free(&r.weights);
        free(r.bias);
        gpu_clear();
    }
    eng_pool_free(pool);
}

static void routes(void) { routes_of(0); }
static void routes_ties(void) { routes_of(1); }
static void routes_not_finite(void) { routes_of(2); }
static void routes_extremes(void) { routes_of(3); }

/* ---- tokens by expert ---- */

typedef struct {
    EngCuMoe args;
    int32_t *ids, *first, *token, *slot; /* on the host; the last three as they should be */
    float *weights;
    int pairs, slots;
} Moe;

static Moe moe_new(int tokens, int experts, int n_used)
{
    Moe m = {.args = {.tokens = tokens}, .pairs = tokens * n_used};
    int ids_row = n_used + test_range(0, 3), weights_row = n_used + test_range(0, 3);
    size_t n = (size_t)m.pairs;
    m.ids = malloc((size_t)(tokens * ids_row) * sizeof *m.ids);
    m.weights = malloc((size_t)(tokens * weights_row) * sizeof *m.weights);
    m.first = calloc((size_t)experts + 1, sizeof *m.first);
    m.token = malloc(n * sizeof *m.token), m.slot = malloc(n * sizeof *m.slot);
    for (int i = 0; i < tokens * ids_row; i++)
        m.ids[i] = test_range(0, 4) == 0 ? -1 : test_range(0, experts - 1);
    for (int i = 0; i < tokens * weights_row; i++) m.weights[i] = test_float();
    for (int i = 0; i < m.pairs; i++) m.slot[i] = -1;
    for (int e = 0; e < experts; e++) {
        m.first[e] = m.slots;
        for (int i = 0; i < m.pairs; i++) {
            if (m.ids[i / n_used * ids_row + i % n_used] != e) continue;
            m.token[m.slots] = i / n_used;
            m.slot[i] = m.slots++;
        }
    }
    m.first[experts] = m.slots;
    m.args.chosen = (EngCuChosen){device((size_t)(tokens * ids_row) * sizeof *m.ids, m.ids),
                                  device((size_t)(tokens * weights_row) * sizeof(float), m.weights),
                                  ids_row, weights_row, n_used};
    m.args.slots =
        (EngCuSlots){device(((size_t)experts + 1) * sizeof *m.first, NULL),
                     device(n * sizeof *m.token, NULL), device(n * sizeof *m.slot, NULL), experts};
    return m;
}

static void moe_free(Moe *m)
{
    free(m->ids), free(m->first), free(m->token), free(m->slot), free(m->weights);
    gpu_clear();
}

static void check_ints(const int32_t *memory, const int32_t *want, int n, const char *what)
{
    int32_t *got = malloc((size_t)n * sizeof *got + 1);
    fetch(got, memory, (size_t)n * sizeof *got);
    for (int i = 0; i < n; i++)
        CHECK_MSG(got[i] == want[i], "%s %d is %d, not %d", what, i, got[i], want[i]);
    free(got);
}

static void groups(void)
{
    for (int round = 0; round < 12; round++) {
        int experts = test_range(1, 70), n_used = test_range(1, 8);
        Moe m = moe_new(test_range(1, round < 6 ? 9 : 200), experts, n_used);
        eng_cuda_moe_group(gpu, &m.args);
        gpu_sync();
        check_ints(m.args.slots.first, m.first, experts + 1, "first");
        check_ints(m.args.slots.token, m.token, m.slots, "token");
        check_ints(m.args.slots.slot, m.slot, m.pairs, "slot");
        moe_free(&m);
    }
}

static void combines(void)
{
    for (int round = 0; round < 8; round++) {
        int tokens = test_range(1, 20), n_used = test_range(1, 8), rows = test_range(1, 600);
        Moe m = moe_new(tokens, test_range(1, 20), n_used);
        size_t count = (size_t)m.slots * (size_t)rows;
        float *src = malloc(count * sizeof *src + 1);
        for (size_t i = 0; i < count; i++) src[i] = test_float();
        Buffer y = buffer_new(tokens, 1, rows, 2);
        m.args.src = count ? device(count * sizeof *src, src) : NULL;
        m.args.dst = y.view;
        m.args.set = round & 1;
        eng_cuda_moe_group(gpu, &m.args);
        int from = test_range(0, n_used - 1), to = test_range(from + 1, n_used);
        EngCuMoe some = m.args; /* of a token's slots */
        some.slot_row = n_used;
        some.slots.slot += from;
        some.chosen.weights += from;
        some.chosen.n_used = to - from;
        eng_cuda_moe_combine(gpu, &some);
        gpu_sync();
        buffer_read(&y);
        for (int i = 0; i < tokens * rows; i++) {
            int t = i / rows, r = i % rows;
            size_t at = buffer_index(&y, t, 0, r);
            double want = m.args.set ? 0 : y.old[at], size = fabs(want);
            for (int k = from; k < to; k++) {
                int slot = m.slot[t * n_used + k];
                double part = slot < 0 ? 0
                                       : (double)m.weights[t * m.args.chosen.weights_row + k] *
                                             src[(size_t)slot * (size_t)rows + (size_t)r];
                want += part, size += fabs(part);
            }
            CHECK_MSG(fabs(y.host[at] - want) <= 1e-6 * size, "number %d of token %d", r, t);
        }
        check_rest(&y, tokens);
        free(src), buffer_free(&y), moe_free(&m);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"route", routes},
        {"route, ties", routes_ties},
        {"route, not finite", routes_not_finite},
        {"route, extremes", routes_extremes},
        {"moe_group", groups},
        {"moe_combine", combines},
    };
    if (!gpu_open()) return 1;
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    eng_cuda_close(gpu);
    return rc;
}
