#include "plan/quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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

static double limit_of(const char *dir)
{
    double quota = -1, period = 0, none;
    if (read_numbers(dir, "cpu.max", &quota, &period) != 2 &&
        (read_numbers(dir, "cpu.cfs_quota_us", &quota, &none) < 1 ||
         read_numbers(dir, "cpu.cfs_period_us", &period, &none) < 1))
        return 0;
    return quota > 0 && period > 0 ? quota / period : 0;
}

/* The tightest limit from `mount``group` up to `mount`. Inside a container the group's path may be
 * the host's, of which only the mount itself is to be seen: what is missing is passed over. */
static double tightest(const char *mount, const char *group)
{
    char dir[4500];
    double least = 0;
    snprintf(dir, sizeof dir, "%s%s", mount, group);
    for (size_t top = strlen(mount); strlen(dir) >= top;) {
        double limit = limit_of(dir);
        if (limit > 0 && (least == 0 || limit < least)) least = limit;
        char *slash = strrchr(dir, '/');
        if (!slash || strlen(dir) == top) break;
        *slash = '\0';
    }
    return least;
}

static bool names_cpu(const char *controllers)
{
    for (const char *p = controllers; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, "cpu", 3) == 0 && (p[3] == '\0' || p[3] == ',')) return true;
    }
    return false;
}

/* /proc/self/cgroup has lines "number:controllers:group"; v2's line has no controllers. */
double eng_quota_cpus(const char *root)
{
    char path[256], line[4096];
    double least = 0;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'),
             *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        controllers++;
        bool v2 = *controllers == '\0';
        if (!v2 && !names_cpu(controllers)) continue;
        snprintf(path, sizeof path, "%s/sys/fs/cgroup%s", root, v2 ? "" : "/cpu");
        double limit = tightest(path, group);
        if (limit > 0 && (least == 0 || limit < least)) least = limit;
    }
    fclose(f);
    return least;
}
