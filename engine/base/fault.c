#include "base/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Models come in up to a few hundred files. */
enum { WATCHES = 1024 };

/* The handler may run at any moment on any thread: it takes no lock. A slot is taken by `used`,
 * filled in, and seen by the handler from the moment `n` is not 0. */
typedef struct {
    atomic_bool used, seen;
    atomic_uintptr_t begin;
    atomic_size_t n;
} Watch;

static Watch watches[WATCHES];
static struct sigaction before;
static uintptr_t page_size;

static Watch *find(uintptr_t at)
{
    for (int i = 0; i < WATCHES; i++) {
        size_t n = atomic_load(&watches[i].n);
        uintptr_t begin = atomic_load(&watches[i].begin);
        if (n > 0 && at >= begin && at - begin < n) return &watches[i];
    }
    return NULL;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    Watch *watch = find(at);
    if (watch) {
        uintptr_t page = at & ~(page_size - 1);
        size_t rest = atomic_load(&watch->begin) + atomic_load(&watch->n) - page;
        atomic_store(&watch->seen, true);
        if (mmap((void *)page, rest, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
            MAP_FAILED)
            return;
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else { /* the same read again, and this time it ends the program */
        struct sigaction end = {.sa_handler = SIG_DFL};
        sigaction(number, &end, NULL);
    }
}

static void install(void)
{
    struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, &before);
}

int eng_fault_watch(const void *data, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    for (int i = 0; i < WATCHES; i++) {
        bool used = false;
        if (!atomic_compare_exchange_strong(&watches[i].used, &used, true)) continue;
        atomic_store(&watches[i].seen, false);
        atomic_store(&watches[i].begin, (uintptr_t)data);
        atomic_store(&watches[i].n, n);
        return i;
    }
    return -1;
}

void eng_fault_unwatch(int watch)
{
    if (watch < 0) return;
    atomic_store(&watches[watch].n, 0);
    atomic_store(&watches[watch].used, false);
}

bool eng_fault_seen(int watch) { return watch >= 0 && atomic_load(&watches[watch].seen); }
