/* The worker pool: each piece once, writes seen across barriers, and its manners towards threads
 * that share its cores. Also built with ThreadSanitizer (tests/run). */
#include <stdatomic.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/sys.h"
#include "test.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 5000 };
#else
enum { ROUNDS = 50000 }; /* of two meetings */
#endif

enum { MOST = 3000 };

typedef struct {
    EngPool *pool;
    int n;
    int64_t value[MOST], sum[MOST];
    atomic_int taken[2][MOST];
    atomic_int entered;
    atomic_bool repeated; /* a thread's pieces did not rise */
} Work;

static int64_t next_rising(Work *w, int64_t *last)
{
    int64_t i = eng_pool_next(w->pool, w->n);
    if (i >= 0 && i <= *last) w->repeated = true;
    *last = i;
    return i;
}

/* Two phases: the second reads what other threads wrote in the first. */
static void fill_then_sum(void *arg, int thread, int n_threads)
{
    Work *w = arg;
    int64_t last = -1;
    CHECK(thread >= 0 && thread < n_threads);
    w->entered++;
    for (int64_t i; (i = next_rising(w, &last)) >= 0;) {
        w->taken[0][i]++;
        w->value[i] = i * i + 1;
    }
    eng_pool_barrier(w->pool, thread);
    last = -1;
    for (int64_t i; (i = next_rising(w, &last)) >= 0;) {
        w->taken[1][i]++;
        for (int j = 0; j < 10; j++) w->sum[i] += w->value[(i + j * 37) % w->n];
    }
}

static void check_work(Work *w, int n_threads)
{
    CHECK_INT(w->entered, n_threads);
    CHECK(!w->repeated);
    for (int64_t i = 0; i < w->n; i++) {
        int64_t want = 0;
        for (int j = 0; j < 10; j++) {
            int64_t k = (i + j * 37) % w->n;
            want += k * k + 1;
        }
        CHECK_INT(w->taken[0][i], 1);
        CHECK_INT(w->taken[1][i], 1);
        CHECK_INT(w->sum[i], want);
    }
}

static void each_piece_is_done_once(void)
{
    static Work w;
    for (int n_threads = 1; n_threads <= 8; n_threads++) {
        EngPool *pool = eng_pool_new(n_threads, NULL, NULL);
        CHECK(pool);
        CHECK_INT(eng_pool_threads(pool), n_threads);
        for (int run = 0; run < 20; run++) {
            memset(&w, 0, sizeof w);
            w.pool = pool;
            w.n = run == 0 ? 1 : test_range(1, MOST);
            eng_pool_run(pool, fill_then_sum, &w);
            check_work(&w, n_threads);
        }
        eng_pool_free(pool);
    }
}

typedef struct {
    EngPool *pool;
    int slot[64]; /* plain on purpose: the barrier orders them */
    atomic_int wrong;
} Stress;

static void meet_often(void *arg, int thread, int n_threads)
{
    Stress *s = arg;
    for (int round = 1; round <= ROUNDS; round++) {
        s->slot[thread] = round;
        eng_pool_barrier(s->pool, thread);
        s->wrong += s->slot[(thread + round) % n_threads] != round;
        eng_pool_barrier(s->pool, thread);
    }
}

/* More threads than cores: one that spins for another which has no core would make each meeting
 * cost a time slice, and this many of them minutes. */
static void barriers_hold_with_more_threads_than_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = cores < 31 ? (int)cores + 2 : 33;
    static Stress s;
    s.pool = eng_pool_new(n, NULL, NULL);
    CHECK(s.pool);
    double start = eng_sys_now();
    eng_pool_run(s.pool, meet_often, &s);
    double seconds = eng_sys_now() - start;
    printf("# %d threads met %d times in %.2f s\n", n, 2 * ROUNDS, seconds);
    CHECK_INT(s.wrong, 0);
    CHECK_MSG(seconds < 60, "%d meetings took %.1f s", 2 * ROUNDS, seconds);
    eng_pool_free(s.pool);
}

/* What one thread does while the others wait: it sees all that they wrote and gets every piece. */
typedef struct {
    EngPool *pool;
    int slot[8], sum, pieces; /* plain on purpose */
    atomic_int wrong;
} Meeting;

static void add_up(void *arg, int thread, int n_threads)
{
    Meeting *m = arg;
    CHECK(thread >= 0 && thread < n_threads);
    m->sum = m->pieces = 0;
    for (int i = 0; i < n_threads; i++) m->sum += m->slot[i];
    while (eng_pool_next(m->pool, 5) >= 0) m->pieces++;
}

static void meet_and_add(void *arg, int thread, int n_threads)
{
    Meeting *m = arg;
    for (int round = 1; round <= ROUNDS / 10; round++) {
        m->slot[thread] = round;
        while (eng_pool_next(m->pool, 3) >= 0) {} /* leaves the counter somewhere */
        eng_pool_meet(m->pool, thread, add_up, m);
        m->wrong += m->sum != n_threads * round || m->pieces != 5;
        m->wrong += n_threads == 1 && eng_pool_next(m->pool, 1) != 0;
        eng_pool_barrier(m->pool, thread);
    }
}

static void the_last_to_arrive_works_alone(void)
{
    for (int n_threads = 1; n_threads <= 8; n_threads++) {
        Meeting m = {.pool = eng_pool_new(n_threads, NULL, NULL)};
        CHECK(m.pool);
        eng_pool_run(m.pool, meet_and_add, &m);
        CHECK_INT(m.wrong, 0);
        eng_pool_free(m.pool);
    }
}

static void nothing(void *arg, int thread, int n_threads)
{
    (void)thread;
    (void)n_threads;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void runs_follow_each_other(void)
{
    atomic_int calls = 0;
    EngPool *pool = eng_pool_new(4, NULL, NULL);
    for (int i = 0; i < ROUNDS / 10; i++) eng_pool_run(pool, nothing, &calls);
    CHECK_INT(calls, 4 * (ROUNDS / 10));
    eng_pool_free(pool);
}

static void idle_workers_sleep(void)
{
    atomic_int calls = 0;
    EngPool *pool = eng_pool_new(4, NULL, NULL);
    eng_pool_run(pool, nothing, &calls);
    usleep(50000);
    clock_t before = clock(); /* processor time of all threads */
    usleep(400000);
    double used = (double)(clock() - before) / CLOCKS_PER_SEC;
    CHECK_MSG(used < 0.1, "idle workers used %.3f s of 0.4 s", used);
    eng_pool_free(pool);
}

static void numbers_of_threads_are_checked(void)
{
    const int bad[] = {-1, 0, 513};
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        EngError err = {0};
        CHECK(!eng_pool_new(bad[i], NULL, &err));
        CHECK_INT(err.code, ENG_ERR_USAGE);
    }
    eng_pool_free(NULL);
    const EngSeat seats[] = {{0, 0}, {0, 0}, {0, 0}}; /* all on one: slow, and right */
    atomic_int calls = 0;
    EngPool *pool = eng_pool_new(3, seats, NULL);
    CHECK(pool);
    for (int i = 0; i < 50; i++) eng_pool_run(pool, nothing, &calls);
    CHECK_INT(calls, 150);
    eng_pool_free(pool);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"each_piece_is_done_once", each_piece_is_done_once},
        {"barriers_hold_with_more_threads_than_cores", barriers_hold_with_more_threads_than_cores},
        {"the_last_to_arrive_works_alone", the_last_to_arrive_works_alone},
        {"runs_follow_each_other", runs_follow_each_other},
        {"idle_workers_sleep", idle_workers_sleep},
        {"numbers_of_threads_are_checked", numbers_of_threads_are_checked},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
