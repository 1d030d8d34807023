#include "plan/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

/* First two numbers of a file; a word such as "max" reads as no number. */
static int read_numbers(const char *dir, const char *name, double *ret_a, double *ret_b)
{
    char path[4600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    int n = fscanf(f, "%lf %lf", ret_a, ret_b);
    fclose(f);
    return n < 0 ? 0 : n;
}

/* Looks at one group's folder. */
typedef void GroupFn(const char *dir, void *arg);

/* From `mount``group` up to `mount`. Inside a container the group's path may be the host's, of
 * which only the mount itself is to be seen: what is missing is passed over. */
static void climb(const char *mount, const char *group, GroupFn *look, void *arg)
{
    char dir[4500];
    snprintf(dir, sizeof dir, "%s%s", mount, group);
    for (size_t top = strlen(mount); strlen(dir) >= top;) {
        look(dir, arg);
        char *slash = strrchr(dir, '/');
        if (!slash || strlen(dir) == top) break;
        *slash = '\0';
    }
}

static bool names(const char *controllers, const char *controller)
{
    size_t n = strlen(controller);
    for (const char *p = controllers; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, controller, n) == 0 && (p[n] == '\0' || p[n] == ',')) return true;
    }
    return false;
}

/* All groups of this process that have to do with a controller. /proc/self/cgroup has lines
 * "number:controllers:group"; v2's line has no controllers. */
static void each_group(const char *root, const char *controller, GroupFn *look, void *arg)
{
    char path[256], line[4096];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "r");
    if (!f) return;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        bool v2 = *controllers == '\0';
        if (!v2 && !names(controllers, controller)) continue;
        snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s", root, v2 ? "" : "/",
                 v2 ? "" : controller);
        climb(path, group, look, arg);
    }
    fclose(f);
}

/* ---- processors ------------------------------------------------------------------------------ */

static void look_at_cpus(const char *dir, void *arg)
{
    double *least = arg, quota = -1, period = 0, none;
    if (read_numbers(dir, "cpu.max", &quota, &period) != 2 &&
        (read_numbers(dir, "cpu.cfs_quota_us", &quota, &none) < 1 ||
         read_numbers(dir, "cpu.cfs_period_us", &period, &none) < 1))
        return;
    if (quota <= 0 || period <= 0) return;
    if (*least == 0 || quota / period < *least) *least = quota / period;
}

double eng_quota_cpus(const char *root)
{
    double least = 0;
    each_group(root, "cpu", look_at_cpus, &least);
    return least;
}

/* ---- memory ---------------------------------------------------------------------------------- */

typedef struct {
    uint64_t total, available;
} Memory;

/* Bytes of files that the system gives up when a group needs memory: of v1 those of the groups
 * below, too, as its usage has them. */
static double cached_files(const char *dir)
{
    char path[4600], line[128];
    double own = 0, all = 0, n;
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "active_file %lf", &n) == 1 || sscanf(line, "inactive_file %lf", &n) == 1)
            own += n;
        if (sscanf(line, "total_active_file %lf", &n) == 1 ||
            sscanf(line, "total_inactive_file %lf", &n) == 1)
            all += n;
    }
    if (f) fclose(f);
    return ENG_MAX(own, all);
}

static void look_at_memory(const char *dir, void *arg)
{
    Memory *m = arg;
    double limit = 0, used = 0, none;
    if (read_numbers(dir, "memory.max", &limit, &none) == 1)
        read_numbers(dir, "memory.current", &used, &none);
    else if (read_numbers(dir, "memory.limit_in_bytes", &limit, &none) == 1)
        read_numbers(dir, "memory.usage_in_bytes", &used, &none);
    if (limit <= 0 || limit >= (double)m->total) return;
    double left = limit - ENG_MAX(used - cached_files(dir), 0);
    m->total = (uint64_t)limit;
    m->available = ENG_MIN(m->available, (uint64_t)ENG_MAX(left, 0));
}

void eng_quota_memory(const char *root, uint64_t *total, uint64_t *available)
{
    Memory m = {*total, *available};
    each_group(root, "memory", look_at_memory, &m);
    *total = m.total;
    *available = ENG_MIN(m.available, m.total);
}
