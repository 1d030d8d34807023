/* The machine's description: this machine's against the system's own count, invented ones through
 * hwloc's HWLOC_SYNTHETIC, and control groups in a folder. Where threads run: test_seats.c. */
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan/host.h"
#include "plan/quota.h"
#include "test.h"

static char folder[] = "/tmp/test-host-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    CHECK(f);
    if (!f) return;
    fputs(text, f);
    fclose(f);
}

/* ---- this machine ---------------------------------------------------------------------------- */

static void this_machine_is_described(void)
{
    cpu_set_t allowed;
    EngHost host = {0};
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    CHECK(eng_host_probe(&host, NULL));
    CHECK(host.threads >= 1 && host.threads <= CPU_COUNT(&allowed));
    if (eng_quota_cpus("") == 0) CHECK_INT(host.threads, CPU_COUNT(&allowed));
    CHECK(host.cores >= 1 && host.cores <= host.threads);
    CHECK(host.nodes >= 1 && host.nodes <= ENG_MAX_NODES);
    CHECK(host.dram_available > 0 && host.dram_available <= host.dram_total);
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    CHECK(host.dram_total <= bytes); /* less in a container */
    CHECK_STR(host.cpu_name, "");

    EngSeats seats = {0};
    CHECK(eng_host_seats(0, &seats, NULL));
    CHECK_INT(seats.n, host.cores);
    for (int i = 0; i < seats.n; i++)
        CHECK(seats.seats[i].cpu == -1 || CPU_ISSET(seats.seats[i].cpu, &allowed));
    eng_seats_clear(&seats);

    const int bad[] = {-1, 513};
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        EngError err = {0};
        CHECK(!eng_host_seats(bad[i], &seats, &err));
        CHECK_INT(err.code, ENG_ERR_USAGE);
    }
}

static void affinity_is_respected(void)
{
    cpu_set_t before, one;
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &before)) last--;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    EngHost host = {0};
    EngSeats seats = {0};
    CHECK(eng_host_probe(&host, NULL));
    CHECK_INT(host.cores, 1);
    CHECK_INT(host.threads, 1);
    CHECK(eng_host_seats(0, &seats, NULL));
    CHECK_INT(seats.n, 1);
    if (eng_quota_cpus("") == 0 || eng_quota_cpus("") >= 1) CHECK_INT(seats.seats[0].cpu, last);
    eng_seats_clear(&seats);
    sched_setaffinity(0, sizeof before, &before);
}

/* ---- invented machines ----------------------------------------------------------------------- */

static void synthetic_machines(void)
{
    if (eng_quota_cpus("") > 0) {
        test_skip("this container's processor time is limited");
        return;
    }
    /* Two sockets with a node each; hyperthreads are not cores. */
    const char *numa = "pack:2 [numa(memory=8000000000)] l3:1(size=33554432) l2:4(size=1048576) "
                       "l1d:1(size=49152) core:1 pu:2";
    setenv("HWLOC_SYNTHETIC", numa, 1);
    EngHost host = {0};
    CHECK(eng_host_probe(&host, NULL));
    CHECK_INT(host.cores, 8);
    CHECK_INT(host.threads, 16);
    CHECK_INT(host.nodes, 2);
    CHECK_INT(host.node_bytes[0], 8000000000ll);
    CHECK_INT(host.node_bytes[1], 8000000000ll);
    CHECK_INT(host.l1d_bytes, 49152);
    CHECK_INT(host.l2_bytes, 1048576);
    CHECK_INT(host.l3_bytes, 33554432);

    /* A container that shows CPUs and nothing else. */
    setenv("HWLOC_SYNTHETIC", "numa:1 pu:6", 1);
    memset(&host, 0, sizeof host);
    CHECK(eng_host_probe(&host, NULL));
    CHECK_INT(host.cores, 6);
    CHECK_INT(host.threads, 6);
    CHECK_INT(host.l2_bytes, 0);
    CHECK_INT(host.nodes, 1);
    CHECK_INT(host.node_bytes[0], host.dram_total);
    unsetenv("HWLOC_SYNTHETIC");
}

/* ---- control groups -------------------------------------------------------------------------- */

static double quota_of(const char *cgroup)
{
    write_file("proc/self/cgroup", cgroup);
    return eng_quota_cpus(folder);
}

static void control_groups_limit(void)
{
    CHECK(eng_quota_cpus("/nowhere") == 0);
    write_file("sys/fs/cgroup/cpu.max", "max 100000\n");
    write_file("sys/fs/cgroup/a/cpu.max", "350000 100000\n");
    write_file("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    write_file("sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
    CHECK(quota_of("") == 0);
    CHECK(quota_of("nonsense\n1:2\n:\n") == 0);
    CHECK(quota_of("0::/\n") == 0);
    CHECK(quota_of("0::/a\n") == 3.5);
    CHECK(quota_of("0::/a/b\n") == 3.5); /* the tightest above */
    CHECK(quota_of("0::/a/b/c\n") == 3.5);
    CHECK(quota_of("0::/of/the/host\n") == 0); /* not to be seen from inside */
    write_file("sys/fs/cgroup/cpu.max", "150000 100000\n");
    CHECK(quota_of("0::/of/the/host\n") == 1.5);

    write_file("sys/fs/cgroup/cpu.max", "max 100000\n");
    write_file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    write_file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    write_file("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "50000\n");
    write_file("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    CHECK(quota_of("4:cpuset:/x\n3:cpu,cpuacct:/\n0::/\n") == 0);
    CHECK(quota_of("4:cpuset:/\n3:cpuacct,cpu:/x\n0::/\n") == 0.5);
    CHECK(quota_of("4:cpuset:/x\n3:cpuacct:/x\n0::/\n") == 0);
    write_file("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "0\n");
    CHECK(quota_of("3:cpu:/x\n") == 0);
}

enum { MANY = 1000000 };

/* What is left of three, of which two are available. */
static void check_memory(const char *cgroup, uint64_t total, uint64_t available)
{
    uint64_t ret_total = 3 * MANY, ret_available = 2 * MANY;
    write_file("proc/self/cgroup", cgroup);
    eng_quota_memory(folder, &ret_total, &ret_available);
    CHECK_INT(ret_total, total);
    CHECK_INT(ret_available, available);
}

static void control_groups_limit_memory(void)
{
    write_file("sys/fs/cgroup/m/memory.max", "2500000\n");
    write_file("sys/fs/cgroup/m/memory.current", "1700000\n");
    write_file("sys/fs/cgroup/m/memory.stat",
               "anon 1\nfile 800000\ninactive_file 300000\nactive_file 400000\n");
    write_file("sys/fs/cgroup/m/n/memory.max", "max\n");
    write_file("sys/fs/cgroup/m/o/memory.max", "600000\n"); /* and nobody says what is used */
    write_file("sys/fs/cgroup/m/p/memory.max", "1000000\n");
    write_file("sys/fs/cgroup/m/p/memory.current", "1200000\n");
    write_file("sys/fs/cgroup/m/q/memory.max", "9000000\n"); /* more than there is */
    check_memory("", 3 * MANY, 2 * MANY);
    check_memory("0::/\n", 3 * MANY, 2 * MANY);
    check_memory("0::/m\n", 2500000, 1500000); /* cached files go when there is need */
    check_memory("0::/m/n\n", 2500000, 1500000);
    check_memory("0::/m/o\n", 600000, 600000);
    check_memory("0::/m/p\n", 1000000, 0);
    check_memory("0::/m/q\n", 2500000, 1500000);
    check_memory("0::/of/the/host\n", 3 * MANY, 2 * MANY);

    write_file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "2000000\n");
    write_file("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1600000\n");
    write_file("sys/fs/cgroup/memory/x/memory.stat",
               "cache 5\nactive_file 7\ntotal_inactive_file 100000\ntotal_active_file 200000\n");
    check_memory("4:memory:/\n", 3 * MANY, 2 * MANY);
    check_memory("4:cpu,memory:/x\n0::/\n", 2000000, 700000);
    check_memory("4:cpu:/x\n", 3 * MANY, 2 * MANY);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"this_machine_is_described", this_machine_is_described},
        {"affinity_is_respected", affinity_is_respected},
        {"synthetic_machines", synthetic_machines},
        {"control_groups_limit", control_groups_limit},
        {"control_groups_limit_memory", control_groups_limit_memory},
    };
    if (!mkdtemp(folder)) return 1;
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) ? 1 : rc;
}
