#include "base/sys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

double eng_sys_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

uint64_t eng_sys_random(void)
{
    uint64_t x;
    if (getrandom(&x, sizeof x, 0) == sizeof x) return x;
    struct timespec t; /* an entropy source that fails still must not repeat a conversation */
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000007u ^ (uint64_t)t.tv_nsec << 20 ^ (uint64_t)getpid();
}

bool eng_sys_memory(uint64_t *ret_total, uint64_t *ret_available)
{
    FILE *f = fopen("/proc/meminfo", "re");
    if (!f) return false;
    unsigned long long total = 0, available = 0;
    char line[128];
    while (fgets(line, sizeof line, f)) {
        sscanf(line, "MemTotal: %llu kB", &total);
        sscanf(line, "MemAvailable: %llu kB", &available);
    }
    fclose(f);
    if (total == 0) return false;
    *ret_total = total * 1024;
    *ret_available = available * 1024;
    return true;
}

bool eng_sys_resident(uint64_t *ret_bytes)
{
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return false;
    unsigned long long size, resident;
    bool ok = fscanf(f, "%llu %llu", &size, &resident) == 2;
    fclose(f);
    if (ok) *ret_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
    return ok;
}

const char *eng_sys_setting(const char *name)
{
#ifdef __GLIBC__
    return secure_getenv(name);
#else
    return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
#endif
}

EngTime eng_sys_local_time(void)
{
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    return (EngTime){.year = tm.tm_year + 1900,
                     .month = tm.tm_mon + 1,
                     .day = tm.tm_mday,
                     .hour = tm.tm_hour,
                     .minute = tm.tm_min,
                     .second = tm.tm_sec};
}

bool eng_sys_allow_tiles(void)
{
#if defined(__x86_64__) && defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM */
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}
