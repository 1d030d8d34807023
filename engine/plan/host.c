#include "plan/host.h"

#include <hwloc.h>
#include <math.h>

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
    if (bound && hwloc_get_cpubind(t, bound, HWLOC_CPUBIND_PROCESS) == 0) eng_seats_limit(t, bound);
    hwloc_bitmap_free(bound);
    *ret_topology = t;
    return true;
}

bool eng_host_seats(int threads, EngSeats *ret_seats, EngError *err)
{
    hwloc_topology_t t;
    if ((threads != 0 && !eng_pool_check(threads, err)) || !topology_new(&t, err)) return false;
    eng_seats_take(t, threads, eng_quota_cpus(""), ret_seats);
    hwloc_topology_destroy(t);
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

bool eng_host_memory(uint64_t *ret_total, uint64_t *ret_available)
{
    if (!eng_sys_memory(ret_total, ret_available)) return false;
    eng_quota_memory("", ret_total, ret_available);
    return true;
}

bool eng_host_probe(EngHost *ret_host, EngError *err)
{
    EngHost host = {0};
    if (!eng_host_memory(&host.dram_total, &host.dram_available))
        return eng_fail(err, ENG_ERR_IO,
                        "The system does not tell how much memory it has: see that /proc can be "
                        "read.");
    hwloc_topology_t t;
    if (!topology_new(&t, err)) return false;
    EngSeats seats;
    eng_seats_take(t, 1, 0, &seats);
    probe_caches(t, seats.seats[0].cpu, &host);
    eng_seats_count(t, &host.cores, &host.threads);
    double quota = eng_quota_cpus("");
    if (quota > 0) {
        host.cores = ENG_MIN(host.cores, (int)ceil(quota));
        host.threads = ENG_MIN(host.threads, (int)ceil(quota));
    }
    probe_memory(t, &host);
    eng_seats_clear(&seats);
    hwloc_topology_destroy(t);
    *ret_host = host;
    return true;
}
