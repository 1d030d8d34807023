/* The two forms of latent attention (cpu/op_attn_expanded.c) over models of random weights: the
 * same prompts through both, in each kind of cache, alone and beside other sessions. A run that
 * stops before attention's own op cannot expand it: that is how the absorbed form is had here for
 * batches that would not take it. */
#include <math.h>
#include <unistd.h>

#include "load/rehearsal.h"
#include "model.h"
#include "thought_model.h"

enum { CONTEXT = 1400, BATCH = 1024, ROWS = 24, DECODE = 3 };

static char folder[] = "/tmp/test-latent-XXXXXX";
static int32_t tokens[CONTEXT];
static const EngKvType types[] = {ENG_KV_F32, ENG_KV_F16, ENG_KV_Q8_0};

/* ---- models ---------------------------------------------------------------------------------- */

static bool write_tensor(FILE *f, const EngTensor *to, const EngTensor *from)
{
    bool ok = fseek(f, (long)to->offset, SEEK_SET) == 0;
    if (to->type == from->type) return ok && fwrite(from->data, from->bytes, 1, f) == 1;
    size_t n = to->bytes / sizeof(float);
    float *x = malloc(to->bytes);
    eng_type_info(from->type)->to_f32(from->data, x, (int64_t)n);
    ok = ok && fwrite(x, to->bytes, 1, f) == 1;
    free(x);
    return ok;
}

/* A file of random weights of a type, with its numbers as floats when `exact`. */
static const char *make_file(const char *type, bool exact)
{
    static char path[256];
    EngError err = {0};
    EngHeader header = thought_model("deepseek2", type);
    EngHeader as = thought_model("deepseek2", exact ? "F32" : type);
    EngGguf *gguf = eng_gguf_open_headers(&header, 1, &err);
    EngGguf *written = eng_gguf_open_headers(&as, 1, &err);
    EngRehearsal *r = gguf ? eng_rehearsal_new(gguf, (uint64_t)1 << 30, &err) : NULL;
    CHECK_MSG(r && written, "%s", err.message);
    uint64_t filled;
    while (r && eng_rehearsal_bytes(r, &filled) > filled) eng_rehearsal_fill(r, 1 << 20);
    snprintf(path, sizeof path, "%s/%s-%d.gguf", folder, type, exact);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(as.data, as.size, 1, f) == 1);
    for (size_t i = 0; f && r && i < gguf->n_tensors; i++)
        CHECK(write_tensor(f, &written->tensors[i], &gguf->tensors[i]));
    CHECK(f && fflush(f) == 0 && ftruncate(fileno(f), (off_t)as.file_size) == 0 && fclose(f) == 0);
    eng_gguf_free(gguf);
    eng_gguf_free(written);
    eng_rehearsal_free(r);
    free((void *)header.data);
    free((void *)as.data);
    return path;
}

static EngModel *open_on_nodes(const char *type, bool exact, int threads, int nodes)
{
    EngError err = {0};
    const char *path = make_file(type, exact);
    EngModelSettings settings = {
        .threads = threads, .batch = BATCH, .no_gpu = true, .nodes = nodes, .copy = nodes > 1};
    EngModel *m = eng_model_open(path, &settings, &err);
    CHECK_MSG(m, "%s", err.message);
    uint64_t done = 0, total = 1;
    while (m && done < total) CHECK_MSG(eng_model_load(m, &done, &total, &err), "%s", err.message);
    unlink(path);
    return m;
}

static EngModel *open_model(const char *type, bool exact, int threads)
{
    return open_on_nodes(type, exact, threads, 0);
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* n tokens of a session from position `past` on; logits are wanted of `rows` of them. */
typedef struct {
    EngKv *kv;
    int past, n, rows;
} Part;

typedef enum { AS_IT_PAYS, ABSORBED } Form;

static void open_kv(const EngModel *m, EngKv *kv, EngKvType type)
{
    EngError err = {0};
    CHECK_MSG(eng_kv_init(kv, &m->graph, type, CONTEXT, NULL, &err), "%s", err.message);
}

static bool is_attention(const EngModel *m, int op)
{
    return op < (int)m->graph.ops.n && m->graph.ops.data[op].kind == ENG_OP_ATTN;
}

/* Wanted are the last row of a part and others that are as far apart as there is room for. */
static void run(EngModel *m, const Part *parts, int n_parts, Form form, float *ret_logits)
{
    EngKv *kvs[BATCH];
    int32_t positions[BATCH], ids[BATCH], out[ROWS * 4];
    EngBatch batch = {0, ids, positions, kvs, 0, out};
    for (int p = 0; p < n_parts; p++) {
        const Part *part = &parts[p];
        for (int i = 1; i <= part->rows; i++)
            out[batch.n_out++] = batch.n + part->n * i / part->rows - 1;
        for (int i = 0; i < part->n; i++, batch.n++) {
            kvs[batch.n] = part->kv;
            ids[batch.n] = tokens[part->past + i];
            positions[batch.n] = part->past + i;
        }
    }
    int ops = (int)m->graph.ops.n;
    for (int first = 0, end = 0; first < ops; first = end) {
        for (end++; end < ops && !(form == ABSORBED && is_attention(m, end));) end++;
        m->backend->run(m->backend, first, end - first, &batch);
    }
    size_t floats = (size_t)batch.n_out * VOCAB;
    memcpy(ret_logits, m->backend->logits(m->backend), floats * sizeof(float));
}

static double distance(const float *x, const float *want, int n)
{
    double d = 0, w = 0;
    for (int i = 0; i < n; i++) {
        d += ((double)x[i] - want[i]) * ((double)x[i] - want[i]);
        w += (double)want[i] * want[i];
    }
    return sqrt(d / w);
}

static float logits[6][ROWS * VOCAB];

static void random_tokens(void)
{
    for (int t = 0; t < CONTEXT; t++) tokens[t] = test_range(0, VOCAB - 1);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* A past, a chunk behind it, some tokens one by one; returns whether the chunk's bits differed. */
static bool through_both(EngModel *m, EngKvType type, int past, int n, double bound)
{
    EngKv kv[2] = {0};
    float *got = logits[0], *want = logits[1];
    int rows = n < ROWS ? n : ROWS;
    bool differ = false;
    for (int i = 0; i < 2; i++) {
        Form form = i == 0 ? AS_IT_PAYS : ABSORBED;
        open_kv(m, &kv[i], type);
        if (past) run(m, &(Part){&kv[i], 0, past, 1}, 1, form, logits[i]);
    }
    for (int step = 0; step <= DECODE; step++) {
        int at = step ? past + n + step - 1 : past, count = step ? 1 : n, wanted = step ? 1 : rows;
        run(m, &(Part){&kv[0], at, count, wanted}, 1, AS_IT_PAYS, got);
        run(m, &(Part){&kv[1], at, count, wanted}, 1, ABSORBED, want);
        double d = distance(got, want, wanted * VOCAB);
        CHECK_MSG(d <= bound, "cache %d, %d behind %d, step %d: %.3g", type, n, past, step, d);
        if (step == 0) differ = memcmp(got, want, (size_t)wanted * VOCAB * sizeof *got) != 0;
    }
    eng_kv_clear(&kv[0]);
    eng_kv_clear(&kv[1]);
    return differ;
}

/* Floats are added up in another order. A half that lies between two may become the other; of a
 * cache of bytes the absorbed form rounds queries too, and a chunk behind a past reads other bytes.
 */
static void forms_agree(void)
{
    static const double bounds[] = {2e-5, 1e-3, 0.02};
    EngModel *m = open_model("F32", false, 2);
    if (!m) return;
    random_tokens();
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        int expanded = 0;
        for (int round = 0; round < 6; round++) {
            int past = test_range(0, 300), n = test_range(1, 90); /* either may pay */
            through_both(m, types[i], past, n, bounds[i]);
            expanded += through_both(m, types[i], past, test_range(200, 500), bounds[i]);
        }
        expanded += through_both(m, types[i], 0, 300, bounds[i]);
        CHECK_INT(expanded, 7);
    }
    /* A token by itself is never expanded: the same bits. */
    CHECK(!through_both(m, ENG_KV_F32, 0, 1, 0));
    eng_model_free(m);
}

static void sessions_share_a_batch(void)
{
    EngModel *m = open_model("F32", false, 2);
    if (!m) return;
    random_tokens();
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        EngKv kv[4] = {0};
        Part parts[4] = {{&kv[0], 300, 1, 1},
                         {&kv[1], 0, test_range(150, 300), 6},
                         {&kv[2], 100, test_range(2, 9), 1},
                         {&kv[3], test_range(100, 400), test_range(200, 300), 6}};
        float *together = logits[2], *alone = logits[3];
        int rows = 0;
        for (int p = 0; p < 4; p++) {
            open_kv(m, &kv[p], types[i]);
            if (parts[p].past)
                run(m, &(Part){&kv[p], 0, parts[p].past, 1}, 1, AS_IT_PAYS, logits[0]);
        }
        run(m, parts, 4, AS_IT_PAYS, together);
        for (int p = 0; p < 4; p++) {
            run(m, &parts[p], 1, AS_IT_PAYS, alone);
            int n = parts[p].rows * VOCAB;
            double d = distance(together + rows * VOCAB, alone, n);
            CHECK_MSG(d <= (types[i] == ENG_KV_F32 ? 2e-5 : 2e-3), "cache %d, part %d: %.3g",
                      types[i], p, d);
            rows += parts[p].rows;
            eng_kv_clear(&kv[p]);
        }
    }
    eng_model_free(m);
}

/* 5 threads cut the chunk into several pieces for each head; nodes have some rows of a matrix each.
 */
static void threads_do_not_matter(void)
{
    static const struct {
        int threads, nodes;
    } ways[] = {{1, 0}, {2, 0}, {5, 0}, {3, 3}};
    random_tokens();
    for (size_t i = 0; i < 2 * TEST_COUNT(types); i++)
        for (size_t w = 0; w < TEST_COUNT(ways); w++) {
            const char *weights = i % 2 ? "Q4_K" : "F32";
            EngModel *m = open_on_nodes(weights, false, ways[w].threads, ways[w].nodes);
            EngKv kv = {0};
            float *got = logits[w != 0];
            if (!m) return;
            open_kv(m, &kv, types[i / 2]);
            run(m, &(Part){&kv, 0, 77, 1}, 1, AS_IT_PAYS, got);
            run(m, &(Part){&kv, 77, 900, ROWS}, 1, AS_IT_PAYS, got);
            if (w > 0)
                CHECK_MSG(memcmp(got, logits[0], sizeof logits[0]) == 0,
                          "%s, cache %d, %d threads, %d nodes", weights, types[i / 2],
                          ways[w].threads, ways[w].nodes);
            eng_kv_clear(&kv);
            eng_model_free(m);
        }
}

/* How far the floats' logits and those of either form are apart, squared and relative. */
static void compare_forms(EngModel *exact, EngModel *quantized, double off[2])
{
    for (int form = 0; form < 3; form++) {
        EngKv kv = {0};
        EngModel *m = form ? quantized : exact;
        open_kv(m, &kv, ENG_KV_F32);
        run(m, &(Part){&kv, 0, 400, ROWS}, 1, form == 1 ? AS_IT_PAYS : ABSORBED, logits[form]);
        eng_kv_clear(&kv);
        double d = distance(logits[form], logits[0], ROWS * VOCAB);
        if (form) off[form - 1] += d * d;
    }
    CHECK(memcmp(logits[1], logits[2], sizeof logits[1]) != 0);
}

/* Weights in blocks: the absorbed form is off the same weights as floats by what activations lose
 * in bytes twice more. What the two have in common, and chance, leave some of that. */
static void expanded_is_as_exact(void)
{
    static const char *const quantized[] = {"Q8_0", "Q4_K"};
    for (size_t i = 0; i < TEST_COUNT(quantized); i++) {
        EngModel *exact = open_model(quantized[i], true, 2);
        EngModel *m = open_model(quantized[i], false, 2);
        double off[2] = {0};
        for (int prompt = 0; prompt < 8 && m && exact; prompt++) {
            random_tokens();
            compare_forms(exact, m, off);
        }
        printf("# %s: expanded off by %.3g, absorbed by %.3g\n", quantized[i], sqrt(off[0] / 8),
               sqrt(off[1] / 8));
        CHECK_MSG(off[0] <= off[1] && off[0] > 0, "%s: %.3g, absorbed %.3g", quantized[i], off[0],
                  off[1]);
        eng_model_free(exact);
        eng_model_free(m);
    }
}

/* Wherever a run is cut for a look at who wants it stopped, attention stays in one. */
static void cuts_spare_attention(void)
{
    EngModel *m = open_model("F32", false, 1);
    if (!m) return;
    int n = (int)m->graph.ops.n, moved = 0;
    for (int op = 0; op <= n + 5; op++) {
        int cut = eng_graph_cut(&m->graph, op);
        CHECK_MSG(cut >= op || cut == n, "%d of %d: %d", op, n, cut);
        CHECK(cut <= n && !is_attention(m, cut) && (cut == 0 || !is_attention(m, cut - 1)));
        moved += cut > op;
    }
    CHECK_INT(moved, 2 * LAYERS);
    eng_model_free(m);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"forms agree", forms_agree},
        {"sessions share a batch", sessions_share_a_batch},
        {"threads do not matter", threads_do_not_matter},
        {"expanded is as exact", expanded_is_as_exact},
        {"cuts spare attention", cuts_spare_attention},
    };
    if (!mkdtemp(folder)) return 1;
    int status = test_main(argc, argv, tests, TEST_COUNT(tests));
    rmdir(folder);
    return status;
}
