/* What the operating system knows: clock, memory, environment. The only other place with
 * system calls is the rest of base/. */
#ifndef ENG_BASE_SYS_H
#define ENG_BASE_SYS_H

#include "base/err.h"

double eng_sys_now(void);                                          /* seconds, monotonic */
uint64_t eng_sys_random(void);                                     /* from the system's entropy */
bool eng_sys_memory(uint64_t *ret_total, uint64_t *ret_available); /* DRAM bytes */
bool eng_sys_resident(uint64_t *ret_bytes);                        /* of this process */
/* Asks for the right to use AMX's tiles, which the system grants a process and all its threads. */
bool eng_sys_allow_tiles(void);
/* A variable of the environment that names code to run; NULL where the process has rights that
 * whoever set it has not (setuid). */
const char *eng_sys_setting(const char *name);

typedef struct {
    int year, month, day, hour, minute, second; /* month and day from 1 */
} EngTime;
EngTime eng_sys_local_time(void);

#endif
