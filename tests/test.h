/* The tests' only harness: a table of functions, checks that say what was and what should be, and
 * TAP on stdout (one line per test), which meson counts.
 *
 *   static void adds(void) { CHECK_INT(1 + 1, 2); }
 *   int main(int argc, char **argv)
 *   {
 *       static const Test tests[] = {{"adds", adds}};
 *       return test_main(argc, argv, tests, TEST_COUNT(tests));
 *   }
 *
 * A failed check prints and the test goes on. test_skip says why and must be followed by a return.
 * Arguments: names of the tests to run; --seed N for test_random (default: TEST_SEED or the clock).
 * The seed is printed with every failure.
 *
 * A program of several files: all but the one with main define TEST_PART before this header. */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    const char *name;
    void (*run)(void);
} Test;

#define TEST_COUNT(t) (sizeof(t) / sizeof((t)[0]))

#ifdef TEST_PART
#define TEST_STATE extern
#else
#define TEST_STATE
#endif
TEST_STATE int test_failures_;
TEST_STATE const char
    *test_name; /* of the test that runs: for tables whose tests share a function */
TEST_STATE const char *test_skipped_;
TEST_STATE uint64_t test_seed_, test_state_;

static inline uint64_t test_random(void) /* splitmix64 */
{
    uint64_t z = (test_state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline int test_range(int lo, int hi) /* lo … hi, both included */
{
    return lo + (int)(test_random() % (uint64_t)(hi - lo + 1));
}

static inline float test_float(void) /* -1 … 1 */
{
    return (float)(int32_t)(test_random() >> 32) * 0x1p-31f;
}

static inline void test_skip(const char *why) { test_skipped_ = why; }

#define CHECK_MSG(cond, ...)                                                                       \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            test_failures_++;                                                                      \
            printf("# %s:%d: ", __FILE__, __LINE__);                                               \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)
#define CHECK(cond) CHECK_MSG(cond, "%s", #cond)
#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        CHECK_MSG(got_ == want_, "%s is %lld, not %lld", #got, got_, want_);                       \
    } while (0)
#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        CHECK_MSG(got_ &&strcmp(got_, want_) == 0, "%s is \"%s\", not \"%s\"", #got,               \
                  got_ ? got_ : "(null)", want_);                                                  \
    } while (0)

/* $HEARTH_SHARED/rest, or NULL when the variable is unset or the file missing: skip the test. */
static inline const char *test_shared(const char *rest)
{
    static char path[4096];
    const char *dir = getenv("HEARTH_SHARED");
    if (!dir || !*dir) return NULL;
    snprintf(path, sizeof path, "%s/%s", dir, rest);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fclose(f);
    return path;
}

static inline bool test_wanted_(int argc, char **argv, const char *name)
{
    bool named = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0) {
            i++;
            continue;
        }
        named = true;
        if (strcmp(argv[i], name) == 0) return true;
    }
    return !named;
}

static inline int test_main(int argc, char **argv, const Test *tests, size_t n)
{
    const char *seed = getenv("TEST_SEED");
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--seed") == 0) seed = argv[i + 1];
    test_seed_ = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 1000003u;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("TAP version 13\n1..%zu\n# seed %llu\n", n, (unsigned long long)test_seed_);
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        test_failures_ = 0;
        test_skipped_ = NULL;
        test_state_ = test_seed_ + i;
        test_name = tests[i].name;
        if (!test_wanted_(argc, argv, tests[i].name)) {
            printf("ok %zu - %s # SKIP not asked for\n", i + 1, tests[i].name);
            continue;
        }
        tests[i].run();
        if (test_failures_) {
            failed++;
            printf("not ok %zu - %s (seed %llu)\n", i + 1, tests[i].name,
                   (unsigned long long)test_seed_);
        } else if (test_skipped_) {
            printf("ok %zu - %s # SKIP %s\n", i + 1, tests[i].name, test_skipped_);
        } else {
            printf("ok %zu - %s\n", i + 1, tests[i].name);
        }
    }
    return failed ? 1 : 0;
}

#endif
