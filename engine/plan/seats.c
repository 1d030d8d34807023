#include "plan/seats.h"

#include <hwloc.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"

typedef struct {
    int node;       /* NUMA node's number */
    int efficiency; /* hwloc's rank of the kind of core, higher is faster; -1 = all alike */
    int order;      /* place in the topology */
    int cpu;        /* the core's first CPU number */
    int rank, of;   /* among the node's cores of its kind */
} Core;

static int by_node(const void *a, const void *b)
{
    const Core *x = a, *y = b;
    if (x->efficiency != y->efficiency) return x->efficiency > y->efficiency ? -1 : 1;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Fast ones first; of these, the same share of each node's. */
static int by_turn(const void *a, const void *b)
{
    const Core *x = a, *y = b;
    if (x->efficiency != y->efficiency) return x->efficiency > y->efficiency ? -1 : 1;
    int64_t left = (2 * (int64_t)x->rank + 1) * y->of, right = (2 * (int64_t)y->rank + 1) * x->of;
    if (left != right) return left < right ? -1 : 1;
    return by_node(a, b);
}

static int efficiency_of(hwloc_topology_t t, hwloc_const_bitmap_t cpus)
{
    int efficiency = -1, kind = hwloc_cpukinds_get_by_cpuset(t, cpus, 0);
    if (kind < 0 ||
        hwloc_cpukinds_get_info(t, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0) < 0)
        return -1;
    return efficiency;
}

static hwloc_obj_type_t core_type(hwloc_topology_t t)
{
    return hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

static Core *cores_new(hwloc_topology_t t, int n)
{
    hwloc_obj_type_t type = core_type(t);
    Core *cores = eng_alloc0((size_t)n * sizeof *cores);
    for (int i = 0; i < n; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(t, type, (unsigned)i);
        cores[i] = (Core){.node = ENG_MAX(hwloc_bitmap_first(core->nodeset), 0),
                          .efficiency = efficiency_of(t, core->cpuset),
                          .order = i,
                          .cpu = hwloc_bitmap_first(core->cpuset)};
    }
    qsort(cores, (size_t)n, sizeof *cores, by_node);
    for (int i = 0, first = 0, end = 0; i < n; i++) {
        if (i == end)
            for (first = end; end < n && cores[end].node == cores[i].node &&
                              cores[end].efficiency == cores[i].efficiency;)
                end++;
        cores[i].rank = i - first;
        cores[i].of = end - first;
    }
    qsort(cores, (size_t)n, sizeof *cores, by_turn);
    return cores;
}

/* Numbers the nodes of the cores that were taken, ascending. More of them than may be share. */
static void number_nodes(const Core *cores, EngSeats *s)
{
    int n_nodes = 0;
    for (int last = -1, next;; last = next) {
        next = -1;
        for (int i = 0; i < s->n; i++)
            if (cores[i].node > last && (next < 0 || cores[i].node < next)) next = cores[i].node;
        if (next < 0) break;
        for (int i = 0; i < s->n; i++)
            if (cores[i].node == next) s->seats[i].node = n_nodes % ENG_MAX_NODES;
        if (n_nodes < ENG_MAX_NODES) s->numbers[n_nodes] = next;
        n_nodes++;
    }
    s->n_nodes = ENG_MIN(n_nodes, ENG_MAX_NODES);
}

void eng_seats_take(hwloc_topology_t topology, int threads, double quota, EngSeats *ret_seats)
{
    int n_cores, n_cpus;
    eng_seats_count(topology, &n_cores, &n_cpus);
    int usable = quota > 0 && quota < n_cores ? (int)ceil(quota) : n_cores;
    EngSeats s = {
        .n = threads ? threads : ENG_MIN(usable, ENG_MAX_THREADS), .n_nodes = 1, .numbers = {-1}};
    s.seats = eng_alloc0((size_t)s.n * sizeof *s.seats);
    if (usable < n_cores || s.n > n_cores) {
        for (int i = 0; i < s.n; i++) s.seats[i].cpu = -1;
    } else {
        Core *cores = cores_new(topology, n_cores);
        for (int i = 0; i < s.n; i++) s.seats[i].cpu = cores[i].cpu;
        number_nodes(cores, &s);
        free(cores);
    }
    *ret_seats = s;
}

void eng_seats_clear(EngSeats *seats)
{
    free(seats->seats);
    *seats = (EngSeats){0};
}

void eng_seats_pretend(EngSeats *seats, int n_nodes)
{
    seats->n_nodes = ENG_MIN(ENG_MIN(n_nodes, seats->n), ENG_MAX_NODES);
    for (int i = 0; i < seats->n; i++) seats->seats[i].node = i % seats->n_nodes;
    for (int i = 0; i < seats->n_nodes; i++) seats->numbers[i] = -1;
}

void eng_seats_limit(hwloc_topology_t topology, hwloc_const_bitmap_t cpus)
{
    if (hwloc_bitmap_intersects(cpus, hwloc_topology_get_allowed_cpuset(topology)))
        hwloc_topology_restrict(topology, cpus, 0); /* when it fails: as if there were no mask */
}

void eng_seats_count(hwloc_topology_t topology, int *ret_cores, int *ret_cpus)
{
    *ret_cores = hwloc_get_nbobjs_by_type(topology, core_type(topology));
    *ret_cpus = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
}

void eng_seats_rows(const EngSeats *seats, int64_t rows, int64_t ret_first[ENG_MAX_NODES + 1])
{
    int64_t threads[ENG_MAX_NODES] = {0}, below = 0, unit = 64;
    for (int i = 0; i < seats->n; i++) threads[seats->seats[i].node]++;
    while (unit > 16 && rows < 16 * unit * seats->n_nodes) unit /= 2;
    ret_first[0] = 0;
    for (int k = 0; k < seats->n_nodes; k++) {
        below += threads[k];
        int64_t units = (rows * below + unit * seats->n / 2) / (unit * seats->n);
        ret_first[k + 1] = below == seats->n ? rows : ENG_MIN(units * unit, rows);
    }
}
