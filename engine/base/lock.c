#include "base/lock.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct EngLock {
    pthread_mutex_t mutex;
};

EngLock *eng_lock_new(void)
{
    EngLock *lock = eng_alloc0(sizeof *lock);
    pthread_mutex_init(&lock->mutex, NULL);
    return lock;
}

void eng_lock_free(EngLock *lock)
{
    if (!lock) return;
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}

void eng_lock_take(EngLock *lock) { pthread_mutex_lock(&lock->mutex); }
void eng_lock_give(EngLock *lock) { pthread_mutex_unlock(&lock->mutex); }
