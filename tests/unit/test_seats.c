/* Which cores compute and what each node's threads read, on machines that hwloc invents. */
#include <hwloc.h>

#include "plan/seats.h"
#include "test.h"

static hwloc_topology_t invented(const char *description)
{
    hwloc_topology_t t = NULL;
    CHECK(hwloc_topology_init(&t) == 0);
    CHECK(hwloc_topology_set_synthetic(t, description) == 0);
    CHECK_MSG(hwloc_topology_load(t) == 0, "hwloc cannot build %s", description);
    return t;
}

static void register_kind(hwloc_topology_t t, int first, int last, int efficiency)
{
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    hwloc_bitmap_set_range(cpus, (unsigned)first, last);
    CHECK(hwloc_cpukinds_register(t, cpus, efficiency, 0, NULL, 0) == 0);
    hwloc_bitmap_free(cpus);
}

/* Only the CPUs of a list such as "0-3,8" are left. */
static void allow(hwloc_topology_t t, const char *list)
{
    hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
    CHECK(hwloc_bitmap_list_sscanf(cpus, list) == 0);
    eng_seats_limit(t, cpus);
    hwloc_bitmap_free(cpus);
}

static hwloc_obj_t core_of(hwloc_topology_t t, int cpu)
{
    hwloc_obj_t obj = hwloc_get_pu_obj_by_os_index(t, (unsigned)cpu);
    return obj ? hwloc_get_ancestor_obj_by_type(t, HWLOC_OBJ_CORE, obj) : NULL;
}

static int efficiency_at(hwloc_topology_t t, int cpu)
{
    int efficiency = -1;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    hwloc_bitmap_only(set, (unsigned)cpu);
    int kind = hwloc_cpukinds_get_by_cpuset(t, set, 0);
    if (kind >= 0) hwloc_cpukinds_get_info(t, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0);
    hwloc_bitmap_free(set);
    return efficiency;
}

/* Each seat is a CPU that may be used, no two are of one core, and its node holds it. */
static void check_places(hwloc_topology_t t, const EngSeats *s)
{
    hwloc_obj_t cores[ENG_MAX_THREADS];
    for (int i = 0; i < s->n; i++) {
        int cpu = s->seats[i].cpu, node = s->seats[i].node;
        CHECK_MSG(cpu >= 0 &&
                      hwloc_bitmap_isset(hwloc_topology_get_allowed_cpuset(t), (unsigned)cpu),
                  "thread %d runs on CPU %d", i, cpu);
        cores[i] = core_of(t, cpu);
        for (int j = 0; j < i; j++)
            CHECK_MSG(cores[i] != cores[j], "threads %d and %d share a core", i, j);
        CHECK(node >= 0 && node < s->n_nodes);
        hwloc_obj_t at = hwloc_get_numanode_obj_by_os_index(t, (unsigned)s->numbers[node]);
        CHECK_MSG(at && hwloc_bitmap_isset(at->cpuset, (unsigned)cpu), "CPU %d is not on node %d",
                  cpu, s->numbers[node]);
    }
}

/* For every number of threads: places are right, no slow core before a fast one, and nodes get
 * threads of each kind in proportion to their cores of it (less than one off). */
static void check_all(hwloc_topology_t t, int n_cores)
{
    EngSeats all, s;
    eng_seats_take(t, 0, 0, &all);
    CHECK_INT(all.n, n_cores);
    int have[ENG_MAX_NODES][4] = {{0}}, cores[4] = {0};
    for (int i = 0; i < all.n; i++) {
        int kind = efficiency_at(t, all.seats[i].cpu) + 1;
        have[all.seats[i].node][kind]++;
        cores[kind]++;
    }
    for (int n = 1; n <= n_cores; n++) {
        eng_seats_take(t, n, 0, &s);
        CHECK_INT(s.n, n);
        check_places(t, &s);
        int got[ENG_MAX_NODES][4] = {{0}}, threads[4] = {0};
        for (int i = 0; i < n; i++) {
            CHECK_INT(s.seats[i].cpu, all.seats[i].cpu);
            int kind = efficiency_at(t, s.seats[i].cpu) + 1;
            if (i) CHECK(efficiency_at(t, s.seats[i].cpu) <= efficiency_at(t, s.seats[i - 1].cpu));
            got[all.seats[i].node][kind]++;
            threads[kind]++;
        }
        for (int k = 0; k < all.n_nodes; k++)
            for (int kind = 0; kind < 4; kind++) {
                double share =
                    cores[kind] ? (double)have[k][kind] * threads[kind] / cores[kind] : 0;
                CHECK_MSG(got[k][kind] > share - 1 && got[k][kind] < share + 1,
                          "of %d threads node %d has %d, not %.2f", n, k, got[k][kind], share);
            }
        eng_seats_clear(&s);
    }
    eng_seats_clear(&all);
}

static void check_cpus(hwloc_topology_t t, int threads, int n, const int *cpus)
{
    EngSeats s;
    eng_seats_take(t, threads, 0, &s);
    CHECK_INT(s.n, n);
    for (int i = 0; i < s.n && i < n; i++)
        CHECK_MSG(s.seats[i].cpu == cpus[i], "thread %d runs on CPU %d, not %d", i, s.seats[i].cpu,
                  cpus[i]);
    eng_seats_clear(&s);
}

/* ---- the machines ---------------------------------------------------------------------------- */

static void two_sockets_of_32(void)
{
    hwloc_topology_t t = invented("pack:2 [numa] core:32 pu:2");
    check_all(t, 64);
    check_cpus(t, 6, 6, (int[]){0, 64, 2, 66, 4, 68}); /* by turns; no second CPU of a core */
    EngSeats s;
    eng_seats_take(t, 1, 0, &s);
    CHECK_INT(s.n_nodes, 1);
    CHECK_INT(s.numbers[0], 0);
    eng_seats_clear(&s);
    hwloc_topology_destroy(t);

    t = invented("pack:2 [numa] core:2 pu:1(indexes=0,2,1,3)"); /* CPU numbers go round */
    check_all(t, 4);
    check_cpus(t, 0, 4, (int[]){0, 1, 2, 3});
    hwloc_topology_destroy(t);
}

static void eight_nodes_of_8(void)
{
    hwloc_topology_t t = invented("pack:2 group:4 [numa] core:8 pu:2");
    check_all(t, 64);
    EngSeats s;
    eng_seats_take(t, 0, 0, &s);
    CHECK_INT(s.n_nodes, 8);
    for (int k = 0; k < s.n_nodes; k++) CHECK_INT(s.numbers[k], k);
    eng_seats_clear(&s);
    eng_seats_take(t, 3, 0, &s); /* fewer threads than nodes */
    CHECK_INT(s.n_nodes, 3);
    eng_seats_clear(&s);
    hwloc_topology_destroy(t);

    t = invented("numa:24 core:2 pu:1"); /* more nodes than are told apart */
    eng_seats_take(t, 0, 0, &s);
    CHECK_INT(s.n, 48);
    CHECK_INT(s.n_nodes, ENG_MAX_NODES);
    for (int i = 0; i < s.n; i++) CHECK(s.seats[i].node < ENG_MAX_NODES);
    eng_seats_clear(&s);
    hwloc_topology_destroy(t);
}

/* Eight fast cores with two CPUs each, sixteen slow ones with one, in both orders. */
static void fast_and_slow_cores(void)
{
    hwloc_topology_t t = invented("numa:1 core:24 pu:2");
    register_kind(t, 0, 15, 1);
    register_kind(t, 16, 47, 0);
    allow(t, "0-15,16,18,20,22,24,26,28,30,32,34,36,38,40,42,44,46");
    check_all(t, 24);
    check_cpus(t, 0, 24, (int[]){0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22,
                                 24, 26, 28, 30, 32, 34, 36, 38, 40, 42, 44, 46});
    hwloc_topology_destroy(t);

    t = invented("numa:1 core:24 pu:2");
    register_kind(t, 32, 47, 1);
    register_kind(t, 0, 31, 0);
    check_all(t, 24);
    check_cpus(t, 10, 10, (int[]){32, 34, 36, 38, 40, 42, 44, 46, 0, 2});
    hwloc_topology_destroy(t);

    t = invented("numa:2 core:12 pu:1"); /* 4 + 8 on each node, as no one has built it yet */
    register_kind(t, 0, 3, 1);
    register_kind(t, 4, 11, 0);
    register_kind(t, 12, 15, 1);
    register_kind(t, 16, 23, 0);
    check_all(t, 24);
    check_cpus(t, 4, 4, (int[]){0, 12, 1, 13});
    hwloc_topology_destroy(t);
}

/* What Windows shows of 128 CPUs: number 64 g + i is CPU i of group g. */
static void two_groups_of_64(void)
{
    hwloc_topology_t t = invented("numa:1 group:2 core:64 pu:1");
    check_all(t, 128);
    EngSeats s;
    eng_seats_take(t, 0, 0, &s);
    CHECK_INT(s.n_nodes, 1); /* a group is no node */
    int in_group[2] = {0};
    for (int i = 0; i < s.n; i++) in_group[s.seats[i].cpu / 64]++;
    CHECK_INT(in_group[0], 64);
    CHECK_INT(in_group[1], 64);
    eng_seats_clear(&s);
    hwloc_topology_destroy(t);

    t = invented("group:2 [numa] core:64 pu:1"); /* a socket and a node to each */
    check_all(t, 128);
    eng_seats_take(t, 7, 0, &s);
    CHECK_INT(s.n_nodes, 2);
    for (int i = 0; i < s.n; i++) CHECK_INT(s.seats[i].node, s.seats[i].cpu / 64);
    eng_seats_clear(&s);
    hwloc_topology_destroy(t);
}

/* Affinity masks and cpusets leave out cores, CPUs of a core, most of a node, or a whole one. */
static void masks_leave_out_cores(void)
{
    hwloc_topology_t t = invented("pack:2 [numa] core:8 pu:2");
    allow(t, "4-15,26-31");
    check_all(t, 9); /* six cores and three */
    check_cpus(t, 3, 3, (int[]){4, 26, 6});
    EngSeats s;
    eng_seats_take(t, 0, 0, &s);
    int64_t first[ENG_MAX_NODES + 1];
    eng_seats_rows(&s, 2304, first);
    CHECK_INT(first[1], 1536); /* two thirds of the rows, too */
    CHECK_INT(first[2], 2304);
    eng_seats_clear(&s);
    allow(t, "1,3"); /* none of these is left: nothing changes */
    check_all(t, 9);
    allow(t, "27,29,31");
    check_all(t, 3);
    eng_seats_take(t, 0, 0, &s);
    CHECK_INT(s.n_nodes, 1);
    CHECK_INT(s.numbers[0], 1); /* the system's number of the node that is left */
    eng_seats_clear(&s);
    check_cpus(t, 0, 3, (int[]){27, 29, 31});
    allow(t, "29");
    check_cpus(t, 0, 1, (int[]){29});
    hwloc_topology_destroy(t);

    t = invented("numa:1 pu:6"); /* a container that shows CPUs and nothing else */
    check_cpus(t, 0, 6, (int[]){0, 1, 2, 3, 4, 5});
    hwloc_topology_destroy(t);
}

static void no_places_of_their_own(void)
{
    hwloc_topology_t t = invented("pack:2 [numa] core:8 pu:2");
    const struct {
        int threads;
        double quota;
        int n;
        bool bound;
    } cases[] = {{0, 0, 16, true},   {0, 16, 16, true},  {0, 15.5, 16, true}, {0, 5.2, 6, false},
                 {4, 5.2, 4, false}, {17, 0, 17, false}, {0, 0.3, 1, false},  {512, 0, 512, false}};
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        EngSeats s;
        eng_seats_take(t, cases[i].threads, cases[i].quota, &s);
        CHECK_INT(s.n, cases[i].n);
        CHECK_INT(s.n_nodes, cases[i].bound ? 2 : 1);
        for (int j = 0; j < s.n; j++) CHECK_INT(s.seats[j].cpu >= 0, cases[i].bound);
        if (!cases[i].bound) CHECK_INT(s.numbers[0], -1);
        eng_seats_clear(&s);
    }
    hwloc_topology_destroy(t);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Rows are dealt out whole, each once, in proportion to threads as near as boundaries allow. */
static void rows_are_dealt_out(void)
{
    for (int round = 0; round < 2000; round++) {
        EngSeat seats[64];
        EngSeats s = {.n = test_range(1, 64), .seats = seats, .n_nodes = 1};
        memset(seats, 0, sizeof seats);
        if (test_range(0, 3)) eng_seats_pretend(&s, test_range(1, ENG_MAX_NODES));
        for (int i = s.n_nodes; i < s.n; i++) seats[i].node = test_range(0, s.n_nodes - 1);
        int64_t rows = test_range(1, 3) == 1 ? test_range(1, 600) : test_range(1, 200000);
        int64_t first[ENG_MAX_NODES + 1];
        eng_seats_rows(&s, rows, first);
        CHECK_INT(first[0], 0);
        CHECK_INT(first[s.n_nodes], rows);
        for (int k = 0; k < s.n_nodes; k++) {
            int threads = 0;
            for (int i = 0; i < s.n; i++) threads += seats[i].node == k;
            double share = (double)rows * threads / s.n, got = (double)(first[k + 1] - first[k]);
            CHECK(first[k] <= first[k + 1]);
            CHECK(first[k] == rows || first[k] % 16 == 0);
            CHECK_MSG(got >= share - 64 && got <= share + 64, "node %d reads %.0f rows, not %.1f",
                      k, got, share);
        }
    }
    EngSeat two[] = {{0, 0}, {0, 1}};
    EngSeats s = {.n = 2, .n_nodes = 2, .seats = two};
    int64_t first[ENG_MAX_NODES + 1];
    const int64_t whole[] = {2048, 7168, 768, 576, 256, 128}; /* halves of real models' shapes */
    for (size_t i = 0; i < TEST_COUNT(whole); i++) {
        eng_seats_rows(&s, whole[i], first);
        CHECK_INT(first[1], whole[i] / 2);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"two_sockets_of_32", two_sockets_of_32},
        {"eight_nodes_of_8", eight_nodes_of_8},
        {"fast_and_slow_cores", fast_and_slow_cores},
        {"two_groups_of_64", two_groups_of_64},
        {"masks_leave_out_cores", masks_leave_out_cores},
        {"no_places_of_their_own", no_places_of_their_own},
        {"rows_are_dealt_out", rows_are_dealt_out},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
