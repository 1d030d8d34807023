#include "plan/host.h"

#include <hwloc.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "plan/quota.h"

/* The topology, cut down to the CPUs this process may use: hwloc knows of cpusets by itself, the
 * affinity mask (taskset, a batch system) is applied here. */
static bool topology_new(hwloc_topology_t *ret_topology, EngError *err)
{
    hwloc_topology_t t;
    if (hwloc_topology_init(&t) != 0)
        return eng_fail(err, ENG_ERR_MEMORY, "Cannot get memory to describe the processor.");
    if (hwloc_topology_load(t) != 0) {
        hwloc_topology_destroy(t);
        return eng_fail(err, ENG_ERR_IO,
                        "The system does not tell which processors it has: see that /proc and /sys "
                        "can be read.");
    }
    hwloc_bitmap_t bound = hwloc_bitmap_alloc();
    if (bound && hwloc_get_cpubind(t, bound, HWLOC_CPUBIND_PROCESS) == 0 &&
        hwloc_bitmap_intersects(bound, hwloc_topology_get_allowed_cpuset(t)))
        hwloc_topology_restrict(t, bound, 0); /* when it fails: as if there were no mask */
    hwloc_bitmap_free(bound);
    *ret_topology = t;
    return true;
}

/* ---- cores ----------------------------------------------------------------------------------- */

typedef struct {
    int node;       /* NUMA node's number */
    int efficiency; /* hwloc's rank of the kind of core, higher is faster; -1 = all alike */
    int order;      /* place in the topology */
    int cpu;        /* the core's first CPU number */
} Core;

static int compare_cores(const void *a, const void *b)
{
    const Core *x = a, *y = b;
    if (x->node != y->node) return x->node < y->node ? -1 : 1;
    if (x->efficiency != y->efficiency) return x->efficiency > y->efficiency ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int efficiency_of(hwloc_topology_t t, hwloc_const_bitmap_t cpus)
{
    int efficiency = -1, kind = hwloc_cpukinds_get_by_cpuset(t, cpus, 0);
    if (kind < 0 ||
        hwloc_cpukinds_get_info(t, (unsigned)kind, NULL, &efficiency, NULL, NULL, 0) < 0)
        return -1;
    return efficiency;
}

/* Cores, or CPUs where no cores are to be seen. At least one. */
static hwloc_obj_type_t core_type(hwloc_topology_t t)
{
    return hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
}

static Core *cores_new(hwloc_topology_t t, int *ret_n)
{
    hwloc_obj_type_t type = core_type(t);
    int n = hwloc_get_nbobjs_by_type(t, type);
    Core *cores = eng_alloc0((size_t)n * sizeof *cores);
    for (int i = 0; i < n; i++) {
        hwloc_obj_t core = hwloc_get_obj_by_type(t, type, (unsigned)i);
        cores[i] = (Core){.node = hwloc_bitmap_first(core->nodeset),
                          .efficiency = efficiency_of(t, core->cpuset),
                          .order = i,
                          .cpu = hwloc_bitmap_first(core->cpuset)};
    }
    qsort(cores, (size_t)n, sizeof *cores, compare_cores);
    *ret_n = n;
    return cores;
}

/* The number of cores within the control group's processor time: 1.5 CPUs are worth two threads. */
static int within_quota(int n)
{
    double quota = eng_quota_cpus("");
    return quota > 0 && quota < n ? (int)ceil(quota) : n;
}

bool eng_host_cores(int **ret_cpus, int *ret_n, EngError *err)
{
    hwloc_topology_t t;
    if (!topology_new(&t, err)) return false;
    int n;
    Core *cores = cores_new(t, &n);
    int usable = within_quota(n), *cpus = NULL;
    if (usable == n) {
        cpus = eng_alloc0((size_t)n * sizeof *cpus);
        for (int i = 0; i < n; i++) cpus[i] = cores[i].cpu;
    }
    free(cores);
    hwloc_topology_destroy(t);
    *ret_cpus = cpus;
    *ret_n = usable;
    return true;
}

/* ---- the whole machine ----------------------------------------------------------------------- */

/* The caches that the best core sees. */
static void probe_caches(hwloc_topology_t t, int cpu, EngHost *host)
{
    hwloc_obj_t obj = hwloc_get_pu_obj_by_os_index(t, (unsigned)cpu);
    for (; obj; obj = obj->parent) {
        if (obj->type == HWLOC_OBJ_L1CACHE) host->l1d_bytes = obj->attr->cache.size;
        if (obj->type == HWLOC_OBJ_L2CACHE) host->l2_bytes = obj->attr->cache.size;
        if (obj->type == HWLOC_OBJ_L3CACHE) host->l3_bytes = obj->attr->cache.size;
    }
}

static void probe_memory(hwloc_topology_t t, EngHost *host)
{
    int n = hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_NUMANODE);
    host->nodes = ENG_MAX(1, ENG_MIN(n, ENG_MAX_NODES));
    for (int i = 0; i < n && i < ENG_MAX_NODES; i++)
        host->node_bytes[i] =
            hwloc_get_obj_by_type(t, HWLOC_OBJ_NUMANODE, (unsigned)i)->attr->numanode.local_memory;
    if (host->nodes == 1) host->node_bytes[0] = host->dram_total; /* hwloc's may be hidden */
}

bool eng_host_probe(EngHost *ret_host, EngError *err)
{
    EngHost host = {0};
    if (!eng_sys_memory(&host.dram_total, &host.dram_available))
        return eng_fail(err, ENG_ERR_IO,
                        "The system does not tell how much memory it has: see that /proc can be "
                        "read.");
    hwloc_topology_t t;
    if (!topology_new(&t, err)) return false;
    int n;
    Core *cores = cores_new(t, &n);
    host.cores = within_quota(n);
    host.threads = within_quota(hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PU));
    probe_caches(t, cores[0].cpu, &host);
    probe_memory(t, &host);
    free(cores);
    hwloc_topology_destroy(t);
    *ret_host = host;
    return true;
}
