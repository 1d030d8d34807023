/* Runs a fuzz target without libFuzzer: every file of a corpus folder, then a number of mutations
 * of each, the same ones every time. TAP on stdout; when the target crashes, the last line says
 * which input did it, and
 *
 *   replay-NAME CORPUS MUTATIONS --write FILE NUMBER > input
 *
 * writes that input. Number 0 is the file itself. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_FILES 1000

typedef struct {
    char name[256];
    uint8_t *bytes;
    size_t n;
} Seed;

static Seed seeds[MAX_FILES];
static int n_seeds;
static char now_running[320]; /* "FILE NUMBER" */

/* Files here are small, so nothing that they say may need much memory: under the sanitizer a larger
 * request fails, as on a machine that has no more. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=256:allocator_may_return_null=1:detect_leaks=1:"
           "handle_abort=1";
}

static void say_what_crashed(void)
{
    static const char head[] = "\nnot ok - crashed by ";
    ssize_t done = write(1, head, sizeof head - 1);
    done += write(1, now_running, strlen(now_running));
    done += write(1, "\n", 1);
    if (done < 0) _exit(2);
}

static void on_signal(int number)
{
    say_what_crashed();
    signal(number, SIG_DFL);
    raise(number);
}

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void watch_for_crashes(void)
{
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(say_what_crashed);
        return;
    }
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], on_signal);
}

static uint64_t random_state;

static uint64_t random_u64(void) /* splitmix64 */
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t random_below(size_t n) { return n ? (size_t)(random_u64() % n) : 0; }

/* Headers decide more than data: half of all places lie in the first 2 KiB. */
static size_t random_place(size_t n)
{
    size_t head = n < 2048 ? n : 2048;
    return random_below(random_u64() & 1 ? head : n);
}

/* Numbers at which counts, lengths and offsets go wrong. */
static void write_number(uint8_t *p, size_t room)
{
    static const uint64_t numbers[] = {
        0,          1,          2,          31,        32,         33,         127,
        128,        255,        256,        65535,     65536,      INT32_MAX,  1ull << 31,
        UINT32_MAX, 1ull << 32, 1ull << 40, INT64_MAX, 1ull << 63, UINT64_MAX, UINT64_MAX - 31};
    uint64_t x = numbers[random_below(sizeof numbers / sizeof *numbers)];
    if (random_u64() & 1) x += random_below(7) - 3;
    size_t width = (size_t)1 << random_below(4);
    memcpy(p, &x, width < room ? width : room);
}

/* Moves a stretch of `from` into the input: inside itself, or from another file. */
static size_t splice(uint8_t *bytes, size_t n, const uint8_t *from, size_t from_n)
{
    size_t len = random_below(from_n < 256 ? from_n : 256) + 1;
    size_t source = random_below(from_n), target = random_place(n);
    if (len > from_n - source) len = from_n - source;
    bool insert = random_u64() & 1 && n + len <= MAX_BYTES;
    if (insert) {
        memmove(bytes + target + len, bytes + target, n - target);
        n += len;
    }
    if (len > n - target) len = n - target;
    memmove(bytes + target, from + source, len);
    return n;
}

static size_t mutate_once(uint8_t *bytes, size_t n)
{
    if (n == 0) {
        bytes[0] = (uint8_t)random_u64();
        return 1;
    }
    size_t at = random_place(n);
    const Seed *other = &seeds[random_below((size_t)n_seeds)];
    switch (random_below(8)) {
    case 0: bytes[at] ^= (uint8_t)(1u << random_below(8)); return n;
    case 1: bytes[at] = (uint8_t)random_u64(); return n;
    case 2:
    case 3: write_number(bytes + at, n - at); return n;
    case 4: return at; /* cut */
    case 5: {          /* take out */
        size_t len = random_below(n - at < 64 ? n - at : 64);
        memmove(bytes + at, bytes + at + len, n - at - len);
        return n - len;
    }
    case 6: return splice(bytes, n, bytes, n);
    default: return other->n ? splice(bytes, n, other->bytes, other->n) : n;
    }
}

/* Input `number` of a seed; 0 is the seed itself. Returns its length. */
static size_t make_input(const Seed *seed, long number, uint8_t *bytes)
{
    memcpy(bytes, seed->bytes, seed->n);
    size_t n = seed->n;
    if (number == 0) return n;
    random_state = (uint64_t)number * 0x2545f4914f6cdd1du;
    for (const char *c = seed->name; *c; c++) random_state = random_state * 31 + (uint8_t)*c;
    for (size_t i = random_below(4) + 1; i > 0; i--) n = mutate_once(bytes, n);
    return n;
}

static void run_one(const Seed *seed, long number, uint8_t *bytes)
{
    snprintf(now_running, sizeof now_running, "%.255s %ld", seed->name, number);
    size_t n = make_input(seed, number, bytes);
    uint8_t *exact = malloc(n ? n : 1); /* the sanitizer sees the byte after the last */
    memcpy(exact, bytes, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Seed *)a)->name, ((const Seed *)b)->name);
}

static void read_seed(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file || n_seeds == MAX_FILES) {
        printf("Bail out! cannot take %s\n", path);
        exit(1);
    }
    Seed *seed = &seeds[n_seeds++];
    snprintf(seed->name, sizeof seed->name, "%s", name);
    seed->bytes = malloc(MAX_BYTES);
    seed->n = fread(seed->bytes, 1, MAX_BYTES, file);
    seed->bytes = realloc(seed->bytes, seed->n ? seed->n : 1);
    fclose(file);
}

static void read_corpus(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') read_seed(folder, entry->d_name);
    if (dir) closedir(dir);
    if (n_seeds == 0) {
        printf("Bail out! no corpus in %s\n", folder);
        exit(1);
    }
    qsort(seeds, (size_t)n_seeds, sizeof *seeds, by_name);
}

static int write_input(const char *name, long number, uint8_t *bytes)
{
    for (int i = 0; i < n_seeds; i++)
        if (strcmp(seeds[i].name, name) == 0)
            return fwrite(bytes, 1, make_input(&seeds[i], number, bytes), stdout) ? 0 : 1;
    fprintf(stderr, "replay: no file %s in the corpus.\n", name);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s CORPUS MUTATIONS [--write FILE NUMBER]\n", argv[0]);
        return 2;
    }
    read_corpus(argv[1]);
    long mutations = atol(argv[2]);
    uint8_t *bytes = malloc(MAX_BYTES + 8);
    if (argc == 6 && strcmp(argv[3], "--write") == 0)
        return write_input(argv[4], atol(argv[5]), bytes);
    setvbuf(stdout, NULL, _IOLBF, 0);
    watch_for_crashes();
    printf("TAP version 13\n1..2\n");
    for (int i = 0; i < n_seeds; i++) run_one(&seeds[i], 0, bytes);
    printf("ok 1 - %d files of the corpus\n", n_seeds);
    for (int i = 0; i < n_seeds; i++)
        for (long k = 1; k <= mutations; k++) run_one(&seeds[i], k, bytes);
    printf("ok 2 - %ld mutations of each\n", mutations);
    for (int i = 0; i < n_seeds; i++) free(seeds[i].bytes);
    free(bytes);
    return 0;
}
