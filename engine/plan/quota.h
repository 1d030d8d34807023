/* What the control group (a container, a systemd slice) allows this process on Linux: processor
 * time (cpu.max of cgroup v2, cpu.cfs_quota_us of v1), beyond which threads are stopped in turns,
 * in the middle of a step, so that they cost more than they give; and memory (memory.max,
 * memory.limit_in_bytes), beyond which the process is killed. `root` stands before /proc and /sys
 * ("" outside of tests). */
#ifndef ENG_PLAN_QUOTA_H
#define ENG_PLAN_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

/* CPUs' worth of time, from the tightest group above the process; 0 = no limit, or not Linux. */
double eng_quota_cpus(const char *root);

/* Lowers what the system has of memory, in bytes, to what the groups above the process allow, and
 * what is available to what they have left; files that are cached count as left. */
void eng_quota_memory(const char *root, uint64_t *total, uint64_t *available);

#endif
