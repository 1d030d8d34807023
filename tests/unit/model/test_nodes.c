/* Weights dealt out to several nodes, and copied out of the file: the numbers stay those of one
 * node that reads the mapped file, at any number of nodes and threads, and nothing is there twice.
 * The nodes are pretended (engine.h, EngModelSettings): this machine may have but one. Also runs
 * with ThreadSanitizer. */
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sys.h"
#include "load/rehearsal.h"
#include "model.h"
#include "../pages.h"
#include "thought_model.h"

enum { PROMPT = 20, WRITTEN = 3 };

static char folder[] = "/tmp/test-nodes-XXXXXX";

/* A file of random weights. */
static const char *make_file(const char *family, const char *type)
{
    static char path[256];
    EngError err = {0};
    EngHeader header = thought_model(family, type);
    EngGguf *gguf = eng_gguf_open_headers(&header, 1, &err);
    EngRehearsal *r = eng_rehearsal_new(gguf, (uint64_t)1 << 30, &err);
    CHECK_MSG(r, "%s", err.message);
    uint64_t filled;
    while (r && eng_rehearsal_bytes(r, &filled) > filled) eng_rehearsal_fill(r, 1 << 20);
    snprintf(path, sizeof path, "%s/%s-%s.gguf", folder, family, type);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(header.data, header.size, 1, f) == 1);
    for (size_t i = 0; f && i < gguf->n_tensors; i++) {
        const EngTensor *t = &gguf->tensors[i];
        CHECK(fseek(f, (long)t->offset, SEEK_SET) == 0 && fwrite(t->data, t->bytes, 1, f) == 1);
    }
    CHECK(f && fflush(f) == 0 && ftruncate(fileno(f), (off_t)header.file_size) == 0);
    CHECK(f && fsync(fileno(f)) == 0 && fclose(f) == 0); /* unwritten pages cannot be let go */
    eng_gguf_free(gguf);
    eng_rehearsal_free(r);
    free((void *)header.data);
    return path;
}

static EngModel *open_model(const char *path, int threads, int nodes, bool copy)
{
    EngError err = {0};
    EngModelSettings settings = {.threads = threads, .batch = 64, .nodes = nodes, .copy = copy};
    EngModel *m = eng_model_open(path, &settings, &err);
    CHECK_MSG(m, "%s", err.message);
    return m;
}

static void load(EngModel *m)
{
    EngError err = {0};
    uint64_t done = 0, total = 1;
    while (m && done < total) CHECK_MSG(eng_model_load(m, &done, &total, &err), "%s", err.message);
}

/* Logits of a prompt's last token, then of tokens one by one. */
static void compute(EngModel *m, float *ret_logits)
{
    EngError err = {0};
    EngSessionSettings set = {.context = PROMPT + WRITTEN, .kv = ENG_KV_F32};
    EngSession *s = m ? eng_session_new(m, &set, &err) : NULL;
    int n_vocab = m ? eng_model_info(m).n_vocab : 0;
    int32_t tokens[PROMPT + WRITTEN];
    for (int i = 0; i < PROMPT + WRITTEN; i++) tokens[i] = (i * 37 + 11) % 60;
    for (int i = 0; s && i <= WRITTEN; i++) {
        CHECK(
            eng_session_eval(s, i ? tokens + PROMPT + i - 1 : tokens, i ? 1 : PROMPT, NULL, &err));
        memcpy(ret_logits + i * n_vocab, eng_session_logits(s), (size_t)n_vocab * sizeof(float));
    }
    eng_session_free(s);
}

static const struct {
    int threads, nodes;
    bool copy;
} ways[] = {{1, 1, true}, {2, 2, false}, {3, 2, true}, {5, 4, true}, {7, 3, false}, {1, 4, true}};

/* No sum goes across nodes, and rows that a kernel takes together stay together (seats.h): not one
 * bit may differ. */
static void check_ways(const char *path, const char *what)
{
    static float want[(WRITTEN + 1) * 4096], got[(WRITTEN + 1) * 4096];
    EngModel *plain = open_model(path, 1, 0, false);
    compute(plain, want);
    int n = plain ? (WRITTEN + 1) * eng_model_info(plain).n_vocab : 0;
    CHECK(n <= (int)TEST_COUNT(want));
    eng_model_free(plain);
    for (size_t i = 0; i < TEST_COUNT(ways); i++) {
        EngModel *m = open_model(path, ways[i].threads, ways[i].nodes, ways[i].copy);
        EngModelInfo info = m ? eng_model_info(m) : (EngModelInfo){0};
        CHECK_INT(info.nodes, ways[i].nodes < ways[i].threads ? ways[i].nodes : ways[i].threads);
        CHECK_INT(info.copied_bytes > 0, ways[i].copy || info.nodes > 1);
        for (int loaded = 0; loaded < 2; loaded++) {
            memset(got, 0, sizeof got);
            compute(m, got);
            CHECK_MSG(memcmp(got, want, (size_t)n * sizeof *got) == 0,
                      "%s, %d threads, %d nodes, loaded %d: other numbers", what, ways[i].threads,
                      ways[i].nodes, loaded);
            load(m);
        }
        eng_model_free(m);
    }
}

static void numbers_stay_the_same(void)
{
    static const char *const made[][2] = {{"qwen3moe", "Q4_K"}, {"deepseek2", "F32"}};
    for (size_t i = 0; i < TEST_COUNT(made); i++) {
        const char *path = make_file(made[i][0], made[i][1]);
        check_ways(path, path);
        unlink(path);
    }
    /* experts apart, the token table as the head, keys derived from a matrix that they share */
    static const char *const recorded[] = {"mixtral_old", "llama", "v3_split"};
    for (size_t i = 0; i < TEST_COUNT(recorded); i++) {
        char path[512];
        snprintf(path, sizeof path, TEST_DIR "/../oracle/vectors/%s.gguf", recorded[i]);
        if (access(path, R_OK) == 0)
            check_ways(path, recorded[i]);
        else
            CHECK_MSG(false, "%s is not there", path);
    }
}

/* While some matrices are copied and others not, or one half. */
static void half_loaded_models_compute(void)
{
    static float want[(WRITTEN + 1) * VOCAB], got[(WRITTEN + 1) * VOCAB];
    const char *path = make_file("deepseek2", "Q8_0");
    EngModel *m = open_model(path, 2, 2, true);
    compute(m, want);
    uint64_t done = 0, total = m ? eng_placement_bytes(m->placement, &done) : 0;
    int rounds = 0;
    for (uint64_t last = 0; done < total; last = done, rounds++) {
        eng_placement_fill(m->placement, 40000, m->pool, m->gguf);
        CHECK_INT(eng_placement_bytes(m->placement, &done), total);
        CHECK(done > last);
        compute(m, got);
        CHECK_INT(memcmp(got, want, sizeof got), 0);
    }
    CHECK(rounds > 20);
    compute(m, got);
    CHECK_INT(memcmp(got, want, sizeof got), 0);
    eng_model_free(m);
    unlink(path);
}

static void a_callers_memory_is_left_alone(void)
{
    static _Alignas(32) uint8_t bytes[1 << 20], before[1 << 20];
    FILE *f = fopen(TEST_DIR "/../oracle/vectors/llama.gguf", "rb");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    CHECK(f && n > 0 && fclose(f) == 0);
    memcpy(before, bytes, n);
    EngError err = {0};
    EngModelSettings settings = {.threads = 2, .batch = 8, .nodes = 2, .copy = true};
    EngModel *m = eng_model_open_memory(bytes, n, &settings, &err);
    CHECK_MSG(m, "%s", err.message);
    load(m);
    eng_model_free(m);
    CHECK_INT(memcmp(bytes, before, n), 0);
}

/* 1 TiB of nothing, which takes no room. */
static void what_does_not_fit_is_refused(void)
{
    unread_rows = 1 << 28;
    EngHeader header = thought_model("qwen3moe", "Q8_0");
    unread_rows = 0;
    char path[256];
    snprintf(path, sizeof path, "%s/sparse.gguf", folder);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(header.data, header.size, 1, f) == 1 && fflush(f) == 0);
    bool sparse = f && ftruncate(fileno(f), (off_t)header.file_size) == 0;
    CHECK(f && fclose(f) == 0);
    free((void *)header.data);
    if (sparse) {
        EngError err = {0};
        EngModelSettings settings = {.threads = 2, .batch = 8, .copy = true};
        uint64_t before = 0, after = 0;
        CHECK(eng_sys_resident(&before));
        CHECK(!eng_model_open(path, &settings, &err));
        CHECK_INT(err.code, ENG_ERR_MEMORY);
        CHECK_MSG(strstr(err.message, "1.0 TiB to, for ") && strstr(err.message, "iB are free"),
                  "%s", err.message);
        CHECK(eng_sys_resident(&after) && after < before + (64 << 20));
        settings.copy = false;
        eng_model_free(open_model(path, 2, 0, false)); /* mapped, it opens */
    }
    unlink(path);
    if (!sparse) test_skip("the temporary folder has no files of 1 TiB");
}

/* Of the mapped file, what is in this process's memory. */
static double resident(const EngMap *map)
{
    char line[512], begin[32];
    unsigned long long kib = 0;
    snprintf(begin, sizeof begin, "%llx-", (unsigned long long)(uintptr_t)map->data);
    FILE *f = fopen("/proc/self/smaps", "r");
    bool found = false;
    while (f && fgets(line, sizeof line, f) && !(found && sscanf(line, "Rss: %llu", &kib) == 1))
        found = found || strncmp(line, begin, strlen(begin)) == 0;
    CHECK(f && found && fclose(f) == 0);
    return (double)kib * 1024 / (double)map->size;
}

/* What lies between the file's matrices, the token table and the norms stay. */
static void there_is_no_second_copy(void)
{
    enum { SLICE = 1 << 20, SLACK = 8 << 20 };
    struct statfs fs;
    const char *path = make_file("qwen3moe", "F32");
    EngModel *m = open_model(path, 2, 2, true);
    uint64_t before = 0, now = 0, done = 0,
             total = m ? eng_placement_bytes(m->placement, &done) : 0;
    CHECK(total > 2 * SLACK && eng_sys_resident(&before));
    while (m && done < total) {
        eng_placement_fill(m->placement, SLICE, m->pool, m->gguf);
        eng_placement_bytes(m->placement, &done);
        CHECK(eng_sys_resident(&now));
        CHECK_MSG(now < before + done + SLACK, "%.1f MiB for %.1f",
                  (double)(now - before) / 1048576, (double)done / 1048576);
    }
    double left = m ? cached(&m->gguf->parts[0]) : 0;
    bool in_memory = statfs(path, &fs) == 0 && fs.f_type == TMPFS;
    CHECK_MSG(in_memory || left < 0.15, "%.0f %% of the file are still cached", 100 * left);
    eng_model_free(m);
    unlink(path);
}

static void what_was_copied_is_let_go(void)
{
    const char *path = make_file("qwen3moe", "F32");
    EngModel *m = open_model(path, 2, 0, false);
    load(m);
    double whole = m ? resident(&m->gguf->parts[0]) : 0;
    CHECK_MSG(whole > 0.99, "%.0f %% are there", 100 * whole);
    eng_model_free(m);
    m = open_model(path, 2, 2, true);
    load(m);
    double left = m ? resident(&m->gguf->parts[0]) : 0;
    CHECK_MSG(left < 0.15, "%.0f %% of the file are still there", 100 * left);
    eng_model_free(m);
    unlink(path);
}

static void memory_comes_from_its_node(void)
{
    EngError err = {0};
    enum { BYTES = 5 << 20, BY_ADDRESS = 2 };
    uint8_t *p = eng_try_alloc(BYTES, "a test", &err);
    CHECK(p);
    static const int none = -1, far = 1000, first[] = {0, 0}, some[] = {0, -1};
    eng_mem_prefer(p, BYTES, first, 1);
    int mode = -1;
    unsigned long nodes[16] = {0};
    if (syscall(SYS_get_mempolicy, &mode, nodes, 1024ul, p + BYTES - 1, BY_ADDRESS) != 0) {
        eng_big_free(p, BYTES);
        test_skip("the system does not tell where memory comes from");
        return;
    }
    CHECK_INT(mode, 1); /* MPOL_PREFERRED */
    CHECK_INT(nodes[0], 1);
    eng_mem_prefer(p, BYTES, &far, 1); /* there is no such node: nothing happens */
    eng_mem_prefer(p, BYTES, &none, 1);
    eng_mem_prefer(p, BYTES, some, 2);
    syscall(SYS_get_mempolicy, &mode, nodes, 1024ul, p, BY_ADDRESS);
    CHECK_INT(mode, 1);
    eng_mem_prefer(p, BYTES, first, 2);
    syscall(SYS_get_mempolicy, &mode, nodes, 1024ul, p, BY_ADDRESS);
    CHECK_INT(mode, 3); /* MPOL_INTERLEAVE */
    CHECK_INT(nodes[0], 1);
    memset(p, 7, BYTES);
    eng_mem_forget(p + 5000, BYTES - 10000); /* whole pages of it */
    CHECK(p[0] == 7 && p[8191] == 7 && p[8192] == 0 && p[BYTES - 8193] == 0 &&
          p[BYTES - 8192] == 7);
    eng_big_free(p, BYTES);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"numbers_stay_the_same", numbers_stay_the_same},
        {"half_loaded_models_compute", half_loaded_models_compute},
        {"a_callers_memory_is_left_alone", a_callers_memory_is_left_alone},
        {"what_does_not_fit_is_refused", what_does_not_fit_is_refused},
        {"there_is_no_second_copy", there_is_no_second_copy},
        {"what_was_copied_is_let_go", what_was_copied_is_let_go},
        {"memory_comes_from_its_node", memory_comes_from_its_node},
    };
    if (!mkdtemp(folder)) return 1;
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    rmdir(folder);
    return rc;
}
