/* The two ceilings of this machine that an engine runs against: bytes per second that the cores can
 * read from DRAM together, and int8 multiply-adds per second (2 operations each) that their widest
 * dot-product instruction can do. Compiled where it runs, for what it runs on:
 *
 *   cc -O3 -march=native -pthread limits.c -o limits && ./limits THREADS
 *
 * Prints one JSON object. Each figure is the best of ROUNDS: noise only ever makes it smaller. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define ROUNDS 7
#define STREAMS 4 /* per thread: one core cannot fill its line buffers from a single stream */
#define BYTES ((size_t)512 << 20) /* per thread: far beyond any cache */
#define DOTS 40000000L
#define ACCUMULATORS 12 /* latency times throughput of the dot-product unit */

typedef uint64_t Wide __attribute__((vector_size(64)));

typedef struct {
    int cpu;
    pthread_barrier_t *start;
    const uint8_t *bytes;
    double read_s[ROUNDS], dot_s[ROUNDS];
    uint64_t sink; /* keeps the loops from being removed */
} Worker;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t read_streams(const uint8_t *bytes)
{
    const Wide *p = (const Wide *)(const void *)bytes;
    size_t n = BYTES / STREAMS / sizeof(Wide);
    Wide sum[STREAMS] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (int s = 0; s < STREAMS; s++) sum[s] ^= p[(size_t)s * n + i];
    Wide all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
    return all[0] ^ all[3] ^ all[7];
}

#if defined(__AVX512VNNI__)
typedef __m512i Lanes;
static const char dot_name[] = "AVX-512 VNNI";
static Lanes dot(Lanes sum, Lanes a, Lanes b) /* gcc 12 copies the intrinsic's accumulators */
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
static Lanes splat(int x) { return _mm512_set1_epi8((char)x); }
#elif defined(__AVXVNNI__)
typedef __m256i Lanes;
static const char dot_name[] = "AVX-VNNI";
static Lanes dot(Lanes sum, Lanes a, Lanes b)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}
static Lanes splat(int x) { return _mm256_set1_epi8((char)x); }
#elif defined(__AVX2__)
typedef __m256i Lanes;
static const char dot_name[] = "AVX2 maddubs";
static Lanes dot(Lanes sum, Lanes a, Lanes b)
{
    __asm__ volatile("" : "+x"(a)); /* not the same product every time round */
    Lanes pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static Lanes splat(int x) { return _mm256_set1_epi8((char)x); }
#else /* what the compiler makes of plain C */
typedef int32_t Lanes __attribute__((vector_size(16)));
static const char dot_name[] = "plain C";
static Lanes dot(Lanes sum, Lanes a, Lanes b) { return sum + a * b; }
static Lanes splat(int x) { return (Lanes){x, x, x, x}; }
#endif

/* int8 operations per dot(): two for each byte, or for each int32 lane of plain C. */
static double operations_per_dot(void)
{
    return strcmp(dot_name, "plain C") == 0 ? 8.0 : 2.0 * sizeof(Lanes);
}

static uint64_t run_dots(void)
{
    Lanes sum[ACCUMULATORS], a = splat(3), b = splat(5);
    for (int i = 0; i < ACCUMULATORS; i++) sum[i] = splat(i);
    for (long k = 0; k < DOTS; k++) {
#pragma GCC unroll 12 /* ACCUMULATORS: all of them stay in registers */
        for (int i = 0; i < ACCUMULATORS; i++) sum[i] = dot(sum[i], a, b);
    }
    uint64_t out = 0;
    for (int i = 0; i < ACCUMULATORS; i++) {
        uint64_t word;
        memcpy(&word, &sum[i], sizeof word);
        out ^= word;
    }
    return out;
}

static void *work(void *arg)
{
    Worker *w = arg;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(w->cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    for (int r = 0; r < ROUNDS; r++) {
        pthread_barrier_wait(w->start);
        double t = now();
        w->sink ^= read_streams(w->bytes);
        w->read_s[r] = now() - t;
        pthread_barrier_wait(w->start);
        t = now();
        w->sink ^= run_dots();
        w->dot_s[r] = now() - t;
    }
    return NULL;
}

/* The n-th CPU that this process may run on. */
static int nth_cpu(int n)
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set) && n-- == 0) return cpu;
    return 0;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 1;
    if (n < 1 || n > 256) {
        fprintf(stderr, "limits: threads must be 1 … 256.\n");
        return 2;
    }
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)n);
    Worker workers[256] = {0};
    pthread_t threads[256];
    for (int i = 0; i < n; i++) {
        void *bytes = aligned_alloc(64, BYTES);
        if (!bytes) {
            fprintf(stderr, "limits: no memory for %d times %zu bytes.\n", n, BYTES);
            return 1;
        }
        memset(bytes, i + 1, BYTES);
        workers[i] = (Worker){.cpu = nth_cpu(i), .start = &start, .bytes = bytes};
    }
    for (int i = 0; i < n; i++) pthread_create(&threads[i], NULL, work, &workers[i]);
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        free((void *)workers[i].bytes);
    }
    double read = 0, dots = 0;
    for (int r = 0; r < ROUNDS; r++) { /* a round takes as long as its slowest thread */
        double read_s = 0, dot_s = 0;
        for (int i = 0; i < n; i++) {
            if (workers[i].read_s[r] > read_s) read_s = workers[i].read_s[r];
            if (workers[i].dot_s[r] > dot_s) dot_s = workers[i].dot_s[r];
        }
        double rate = n * (double)BYTES / read_s * 1e-9;
        if (rate > read) read = rate;
        rate = n * (double)DOTS * ACCUMULATORS * operations_per_dot() / dot_s * 1e-9;
        if (rate > dots) dots = rate;
    }
    printf("{\"threads\": %d, \"read_gb_s\": %.2f, \"int8_gop_s\": %.0f, \"int8\": \"%s\"}\n", n,
           read, dots, dot_name);
    return 0;
}
