/* engine/base: errors, memory, files and the cursor over them, half floats, libraries. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dl.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "pages.h"
#include "test.h"

static char folder[] = "/tmp/test-base-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* ---- errors ---------------------------------------------------------------------------------- */

static bool utf8_whole(const char *s)
{
    while (*s) {
        unsigned char c = (unsigned char)*s++;
        int more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : -1;
        if (more < 0) return false;
        for (; more > 0; more--)
            if (((unsigned char)*s++ & 0xc0) != 0x80) return false;
    }
    return true;
}

static void errors_are_cut_at_a_character(void)
{
    const char *const letters[] = {"a", "ü", "語", "🙂"};
    EngError err = {0};
    CHECK(!eng_fail(NULL, ENG_ERR_IO, "nobody listens"));
    CHECK(!eng_fail(&err, ENG_ERR_CONTEXT, "%d tokens", 12));
    CHECK_INT(err.code, ENG_ERR_CONTEXT);
    CHECK_STR(err.message, "12 tokens");
    for (size_t l = 0; l < TEST_COUNT(letters); l++) {
        for (int lead = 0; lead < 4; lead++) { /* each way the cut can fall into a character */
            char text[1200] = "";
            memset(text, '.', (size_t)lead);
            for (int i = 0; i < 255; i++) strcat(text, letters[l]);
            eng_fail(&err, ENG_ERR_IO, "%s", text);
            size_t len = strlen(err.message), size = strlen(letters[l]);
            CHECK_MSG(utf8_whole(err.message), "\"%s\" is cut inside a character", err.message);
            CHECK_MSG(len > 255 - size && len <= 255, "%zu bytes are left of \"%s\"", len, text);
            CHECK(strncmp(err.message, text, len) == 0);
        }
    }
    eng_fail(&err, ENG_ERR_REFUSED, "first");
    eng_fail(&err, ENG_ERR_REFUSED, "second, after %s", err.message);
    CHECK_STR(err.message, "second, after first");
}

/* ---- memory ---------------------------------------------------------------------------------- */

static bool all_are(const uint8_t *p, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != value) return false;
    return true;
}

static void arenas_hand_out_zeroed_pieces(void)
{
    EngArena arena = {0};
    for (int round = 0; round < 3; round++) {
        uint8_t *piece[300];
        size_t size[300];
        for (int i = 0; i < 300; i++) {
            size[i] = (size_t)(i % 50 == 7 ? test_range(60000, 200000) : test_range(0, 3000));
            piece[i] = eng_arena_alloc(&arena, size[i]);
            CHECK((uintptr_t)piece[i] % 16 == 0);
            CHECK(all_are(piece[i], size[i], 0));
            memset(piece[i], i & 255, size[i]);
        }
        for (int i = 0; i < 300; i++) /* no two overlap */
            CHECK_MSG(all_are(piece[i], size[i], (uint8_t)i), "piece %d was overwritten", i);
        CHECK_STR(eng_arena_strndup(&arena, "hearth", 4), "hear");
        CHECK_STR(eng_arena_strndup(&arena, NULL, 0), "");
        eng_arena_clear(&arena);
        CHECK(arena.head == NULL);
    }
}

static void large_blocks_fail_in_words(void)
{
    EngError err = {0};
    CHECK(!eng_try_alloc((size_t)1 << 62, "the KV cache", &err));
    CHECK_INT(err.code, ENG_ERR_MEMORY);
    CHECK_MSG(strstr(err.message, "4.0 EiB") && strstr(err.message, "the KV cache"), "\"%s\"",
              err.message);
    CHECK(!eng_try_alloc(SIZE_MAX, "everything", NULL));
    const size_t sizes[] = {0, 1, 4097, ((size_t)5 << 20) + 3};
    for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
        uint8_t *p = eng_try_alloc(sizes[i], "a test", &err);
        CHECK(p && (uintptr_t)p % 64 == 0 && all_are(p, sizes[i], 0));
        memset(p, 1, sizes[i]);
        eng_big_free(p, sizes[i]);
    }
    eng_big_free(NULL, 10);
}

static void growing_arrays_keep_their_items(void)
{
    EngVec(int32_t) v = {0};
    for (int i = 0; i < 10000; i++) eng_vec_push(&v, i * 3);
    CHECK_INT(v.n, 10000);
    for (int i = 0; i < 10000; i++) CHECK_INT(v.data[i], i * 3);
    free(v.data);
}

static void the_guard_stops_allocations(void)
{
#ifdef NDEBUG
    test_skip("the guard is only in debug builds");
#else
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        eng_guard_begin();
        eng_guard_end();
        free(eng_alloc0(8)); /* outside: allowed */
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        eng_guard_begin();
        free(eng_alloc0(8));
        _exit(0);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

/* ---- files ----------------------------------------------------------------------------------- */

static void files_are_mapped_whole(void)
{
    EngMap map = {0};
    EngError err = {0};
    FILE *f = fopen(path_of("five"), "wb");
    CHECK(f && ftruncate(fileno(f), ((off_t)5 << 30) + 3) == 0); /* sparse: takes no room */
    CHECK(f && fseeko(f, (off_t)5 << 30, SEEK_SET) == 0 && fputs("end", f) >= 0 && !fclose(f));
    CHECK(eng_map_open(&map, path_of("five"), &err));
    CHECK_INT(map.size, (5ll << 30) + 3);
    CHECK(map.data && memcmp(map.data + (5ll << 30), "end", 3) == 0);
    eng_map_touch(&map, (5ull << 30) - 10000, 1u << 20);
    eng_map_touch(&map, UINT64_MAX, 1);
    eng_map_close(&map);
    CHECK(map.data == NULL && map.size == 0);
    unlink(path_of("five"));

    f = fopen(path_of("größe 語"), "wb");
    CHECK(f && !fclose(f));
    CHECK(eng_map_open(&map, path_of("größe 語"), &err));
    CHECK(map.data == NULL && map.size == 0);
    eng_map_close(&map);
}

static void pages_are_let_go(void)
{
    enum { BYTES = 32 << 20 };
    struct statfs fs;
    FILE *f = fopen(path_of("large"), "wb");
    char *bytes = malloc(BYTES);
    memset(bytes, 'x', BYTES);
    CHECK(f && fwrite(bytes, BYTES, 1, f) == 1 && fflush(f) == 0);
    CHECK(f && fsync(fileno(f)) == 0 && !fclose(f)); /* what is not written stays */
    free(bytes);
    EngMap map = {0};
    CHECK(eng_map_open(&map, path_of("large"), NULL));
    eng_map_touch(&map, 0, BYTES);
    eng_map_drop(&map, UINT64_MAX, 1);
    eng_map_drop(&map, 0, 0);
    CHECK(cached(&map) > 0.99);
    eng_map_drop(&map, 5000, UINT64_MAX - 5000);
    double left = cached(&map);
    CHECK(map.data[0] == 'x' && map.data[BYTES - 1] == 'x'); /* they come back */
    CHECK(eng_map_check(&map, NULL));
    bool in_memory = statfs(path_of("large"), &fs) == 0 && fs.f_type == TMPFS;
    eng_map_close(&map);
    unlink(path_of("large"));
    if (in_memory)
        test_skip("the temporary folder is in memory itself");
    else
        CHECK_MSG(left < 0.1, "%.0f %% of the file are still in memory", 100 * left);
}

static void files_are_copied_without_their_pages(void)
{
    enum { BYTES = 300000, CUT = 100000 };
    static uint8_t bytes[BYTES], got[BYTES];
    for (int i = 0; i < BYTES; i++) bytes[i] = (uint8_t)(i * 7 + i / 251);
    FILE *f = fopen(path_of("copied"), "wb");
    CHECK(f && fwrite(bytes, BYTES, 1, f) == 1 && !fclose(f));
    EngMap map = {0}, ours = {.data = bytes, .size = BYTES};
    EngError err = {0};
    CHECK(eng_map_open(&map, path_of("copied"), &err));
    eng_map_copy(&map, 0, got, 0);
    eng_map_copy(&map, 4097, got + 4097, 1);
    CHECK(got[0] == 0 && got[4096] == 0 && got[4097] == bytes[4097] && got[4098] == 0);
    eng_map_copy(&map, 0, got, BYTES);
    CHECK_INT(memcmp(got, bytes, BYTES), 0);
    memset(got, 0, BYTES);
    eng_map_copy(&ours, 77, got, BYTES - 77);
    CHECK_INT(memcmp(got, bytes + 77, BYTES - 77), 0);
    CHECK(eng_map_check(&map, &err));

    CHECK(truncate(path_of("copied"), CUT) ==
          0); /* what is not there any more is zeros, and known */
    memset(got, 1, BYTES);
    eng_map_copy(&map, 0, got, BYTES);
    CHECK_INT(memcmp(got, bytes, CUT), 0);
    CHECK(got[CUT] == 0 && got[BYTES - 1] == 0);
    CHECK(!eng_map_check(&map, &err));
    CHECK_INT(err.code, ENG_ERR_IO);
    eng_map_close(&map);
    unlink(path_of("copied"));
}

static void huge_pages_are_aligned(void)
{
    enum { HUGE_PAGE = 2 << 20 };
    for (size_t n = HUGE_PAGE; n < 6 * HUGE_PAGE; n += 1234567) {
        EngError err = {0};
        uint8_t *p = eng_try_alloc(n, "a test", &err);
        CHECK(p && (uintptr_t)p % HUGE_PAGE == 0);
        memset(p, 1, n);
        eng_big_free(p, n);
    }
}

static void what_is_no_file_is_refused(void)
{
    EngMap map = {.size = 77};
    EngError err = {0};
    CHECK(mkfifo(path_of("pipe"), 0600) == 0);
    const char *const names[] = {"pipe", ".", "absent", "pipe/below"};
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        err = (EngError){0};
        CHECK_MSG(!eng_map_open(&map, path_of(names[i]), &err), "%s is mapped", names[i]);
        CHECK_INT(err.code, ENG_ERR_IO);
        CHECK_MSG(strstr(err.message, names[i]), "\"%s\" does not name the file", err.message);
        CHECK_INT(map.size, 77);
    }
}

static void cursors_stop_at_the_end(void)
{
    const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                             0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0xff, 0x10, 0x11, 0x12};
    EngCursor c = {.data = bytes, .size = sizeof bytes};
    CHECK_INT(eng_cursor_u8(&c), 0x01);
    CHECK_INT(eng_cursor_u16(&c), 0x0302);
    CHECK_INT(eng_cursor_u32(&c), 0x07060504);
    CHECK(eng_cursor_u64(&c) == 0xff0e0d0c0b0a0908u);
    CHECK(eng_cursor_bytes(&c, 1) == bytes + 15);
    CHECK(!c.short_by);
    CHECK_INT(eng_cursor_u32(&c), 0); /* two bytes are left */
    CHECK(c.short_by);
    CHECK_INT(eng_cursor_u8(&c), 0); /* and stay unread */
    CHECK(eng_cursor_bytes(&c, 0) == NULL);

    c = (EngCursor){.data = bytes, .size = sizeof bytes, .pos = 5};
    CHECK(eng_cursor_bytes(&c, UINT64_MAX - 2) == NULL); /* the sum would wrap */
    CHECK(c.short_by);
    c = (EngCursor){.data = bytes, .size = sizeof bytes, .pos = sizeof bytes};
    CHECK(eng_cursor_bytes(&c, 0) != NULL);
    CHECK(!c.short_by);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* The value of a half by the standard's formula, in double. */
static double half_value(uint16_t h)
{
    int exp = h >> 10 & 31, man = h & 1023;
    double x = exp == 31 ? (man ? (double)NAN : (double)INFINITY)
               : exp     ? ldexp(1024 + man, exp - 25)
                         : ldexp(man, -24);
    return h & 0x8000 ? -x : x;
}

static void halves_widen_exactly(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        double want = half_value((uint16_t)h);
        float got = eng_f16_to_f32((uint16_t)h);
        if (isnan(want))
            CHECK_MSG(isnan(got), "half %04x is %g", h, (double)got);
        else
            CHECK_MSG((double)got == want && !signbit(got) == !signbit(want),
                      "half %04x is %g, not %g", h, (double)got, want);
        if (!isnan(want)) CHECK_INT(eng_f32_to_f16(got), h);
        CHECK(eng_f32_bits(eng_bf16_to_f32((uint16_t)h)) == h << 16);
    }
}

/* The nearest half by bisection over their values; the even one of two. */
static uint16_t nearest_half(float f)
{
    uint16_t sign = signbit(f) ? 0x8000 : 0;
    double x = fabs((double)f);
    if (x >= 65520) return sign | 0x7c00; /* half-way between the largest half and the next */
    uint16_t low = 0, high = 0x7c00;      /* half_value(low) <= x < half_value(high) */
    while (high - low > 1) {
        uint16_t mid = (uint16_t)((low + high) / 2);
        if (half_value(mid) <= x)
            low = mid;
        else
            high = mid;
    }
    double above = high == 0x7c00 ? 65536 : half_value(high);
    double down = x - half_value(low), up = above - x;
    bool to_high = up < down || (up == down && (high & 1) == 0);
    return sign | (to_high ? high : low);
}

static void check_half(float f)
{
    uint16_t got = eng_f32_to_f16(f), want = nearest_half(f);
    CHECK_MSG(got == want, "%a becomes half %04x, not %04x", (double)f, got, want);
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__SSE2__)
    _Float16 theirs = (_Float16)f;
    memcpy(&want, &theirs, sizeof want);
    CHECK_MSG(got == want, "%a becomes half %04x, the compiler's is %04x", (double)f, got, want);
#endif
}

static void floats_narrow_to_the_nearest_half(void)
{
    for (uint32_t h = 0; h < 0x7c00; h++) { /* every half, every half-way point, beside both */
        float f = eng_f16_to_f32((uint16_t)h);
        float middle = (float)((half_value((uint16_t)h) +
                                (h == 0x7bff ? 65536 : half_value((uint16_t)(h + 1)))) /
                               2);
        const float near[] = {f, middle, nextafterf(f, INFINITY), nextafterf(middle, 0),
                              nextafterf(middle, INFINITY)};
        for (size_t i = 0; i < TEST_COUNT(near); i++) {
            check_half(near[i]);
            check_half(-near[i]);
        }
    }
    for (int i = 0; i < 200000; i++) {
        float f = eng_f32_from_bits((uint32_t)test_random());
        if (!isnan(f)) check_half(f);
    }
    CHECK_INT(eng_f32_to_f16(NAN) & 0x7c00, 0x7c00);
    CHECK((eng_f32_to_f16(NAN) & 0x3ff) != 0);
    CHECK((eng_f32_to_f16(eng_f32_from_bits(0xff800001)) & 0x3ff) != 0);
}

static void sizes_are_checked(void)
{
    uint64_t x = 5;
    CHECK(eng_mul_u64(1ull << 40, 1ull << 23, &x) && x == 1ull << 63);
    CHECK(!eng_mul_u64(1ull << 40, 1ull << 24, &x));
    CHECK_INT(eng_align_up(0, 32), 0);
    CHECK_INT(eng_align_up(33, 32), 64);
    CHECK_INT(eng_align_up(64, 32), 64);
}

/* ---- the system ------------------------------------------------------------------------------ */

static void libraries_open_by_name(void)
{
    EngError err = {0};
    EngDl *dl = eng_dl_open("libm.so.6", &err);
    CHECK(dl);
    if (!dl) return;
    double (*root)(double) = (double (*)(double))eng_dl_function(dl, "sqrt");
    CHECK(root && root(9) == 3);
    CHECK(eng_dl_function(dl, "no_such_function") == NULL);
    eng_dl_close(dl);
    eng_dl_close(NULL);
    CHECK(!eng_dl_open("libno-such-thing.so.1", &err));
    CHECK_INT(err.code, ENG_ERR_IO);
    CHECK(strstr(err.message, "libno-such-thing.so.1"));
}

static void the_system_answers(void)
{
    uint64_t total = 0, available = 0, resident = 0;
    double before = eng_sys_now();
    CHECK(eng_sys_memory(&total, &available) && available <= total);
    CHECK(eng_sys_resident(&resident) && resident > 100000 && resident < total);
    CHECK(eng_sys_now() >= before);
    CHECK(eng_sys_random() != eng_sys_random());
    EngTime t = eng_sys_local_time();
    CHECK(t.year >= 2024 && t.month >= 1 && t.month <= 12 && t.day >= 1 && t.day <= 31);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"errors_are_cut_at_a_character", errors_are_cut_at_a_character},
        {"arenas_hand_out_zeroed_pieces", arenas_hand_out_zeroed_pieces},
        {"large_blocks_fail_in_words", large_blocks_fail_in_words},
        {"growing_arrays_keep_their_items", growing_arrays_keep_their_items},
        {"the_guard_stops_allocations", the_guard_stops_allocations},
        {"files_are_mapped_whole", files_are_mapped_whole},
        {"pages_are_let_go", pages_are_let_go},
        {"files_are_copied_without_their_pages", files_are_copied_without_their_pages},
        {"huge_pages_are_aligned", huge_pages_are_aligned},
        {"what_is_no_file_is_refused", what_is_no_file_is_refused},
        {"cursors_stop_at_the_end", cursors_stop_at_the_end},
        {"halves_widen_exactly", halves_widen_exactly},
        {"floats_narrow_to_the_nearest_half", floats_narrow_to_the_nearest_half},
        {"sizes_are_checked", sizes_are_checked},
        {"libraries_open_by_name", libraries_open_by_name},
        {"the_system_answers", the_system_answers},
    };
    if (!mkdtemp(folder)) return 1;
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : rc;
}
