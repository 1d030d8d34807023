/* Locks that ThreadSanitizer sees. GLib's are made of atomics inside a library that it cannot look
 * into; these tell it what they mean, and in every other build are GLib's alone.
 *
 * hearth_release(p) … hearth_acquire(p): the same for what goes to another thread through GLib
 * itself (a GTask, a main-loop source): all that was written before the one is there after the
 * other. Any address that both sides know does for p. */
#ifndef HEARTH_SYNC_H
#define HEARTH_SYNC_H

#include <glib.h>
#include <stdbool.h>

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define HEARTH_SYNC_TOLD
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define HEARTH_SYNC_TOLD
#endif

#ifdef HEARTH_SYNC_TOLD
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static inline void hearth_acquire(void *p) { __tsan_acquire(p); }
static inline void hearth_release(void *p) { __tsan_release(p); }
#else
static inline void hearth_acquire(void *p) { (void)p; }
static inline void hearth_release(void *p) { (void)p; }
#endif

static inline void hearth_lock(GMutex *mutex)
{
    g_mutex_lock(mutex);
    hearth_acquire(mutex);
}

static inline void hearth_unlock(GMutex *mutex)
{
    hearth_release(mutex);
    g_mutex_unlock(mutex);
}

static inline void hearth_wait(GCond *cond, GMutex *mutex)
{
    hearth_release(mutex);
    g_cond_wait(cond, mutex);
    hearth_acquire(mutex);
}

/* False at the end of the time (monotonic, µs). */
static inline bool hearth_wait_until(GCond *cond, GMutex *mutex, gint64 end)
{
    hearth_release(mutex);
    bool woken = g_cond_wait_until(cond, mutex, end);
    hearth_acquire(mutex);
    return woken;
}

#endif
