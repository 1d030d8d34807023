/* How much processor time the control group (a container, a systemd slice) allows this process:
 * Linux's cpu.max (cgroup v2) or cpu.cfs_quota_us (v1). Threads beyond it are stopped in turns,
 * in the middle of a step, so they cost more than they give. */
#ifndef ENG_PLAN_QUOTA_H
#define ENG_PLAN_QUOTA_H

/* CPUs' worth of time, from the tightest group above the process; 0 = no limit, or not Linux.
 * `root` stands before /proc and /sys ("" outside of tests). */
double eng_quota_cpus(const char *root);

#endif
