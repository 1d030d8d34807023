#include "worker/flow/wake.h"

#include "sync.h"

struct HearthWake {
    int refs; /* atomic */
    GMainContext *context;
    gint64 interval; /* µs */
    void (*deliver)(void *data);
    void *data;

    GMutex lock;
    GSource *pending;
    gint64 last; /* when it delivered, monotonic */
    bool closed;
};

HearthWake *hearth_wake_new(int per_second, void (*deliver)(void *data), void *data)
{
    HearthWake *wake = g_new0(HearthWake, 1);
    wake->refs = 1;
    wake->context = g_main_context_ref_thread_default();
    wake->interval = G_USEC_PER_SEC / per_second;
    wake->deliver = deliver;
    wake->data = data;
    wake->last = G_MININT64 / 2;
    g_mutex_init(&wake->lock);
    return wake;
}

HearthWake *hearth_wake_ref(HearthWake *wake)
{
    g_atomic_int_inc(&wake->refs);
    return wake;
}

void hearth_wake_unref(HearthWake *wake)
{
    if (!g_atomic_int_dec_and_test(&wake->refs)) return;
    g_mutex_clear(&wake->lock);
    g_main_context_unref(wake->context);
    g_free(wake);
}

static gboolean dispatch(void *data)
{
    HearthWake *wake = data;
    hearth_lock(&wake->lock);
    g_clear_pointer(&wake->pending, g_source_unref);
    wake->last = g_get_monotonic_time();
    bool closed = wake->closed;
    hearth_unlock(&wake->lock);
    if (!closed) wake->deliver(wake->data);
    return G_SOURCE_REMOVE;
}

static void drop(void *data) { hearth_wake_unref(data); }

void hearth_wake_ring(HearthWake *wake)
{
    hearth_lock(&wake->lock);
    if (!wake->pending && !wake->closed) {
        gint64 wait = wake->last + wake->interval - g_get_monotonic_time();
        wake->pending = g_timeout_source_new(wait > 0 ? (guint)((wait + 999) / 1000) : 0);
        g_source_set_priority(wake->pending, G_PRIORITY_DEFAULT);
        g_source_set_callback(wake->pending, dispatch, hearth_wake_ref(wake), drop);
        g_source_attach(wake->pending, wake->context);
    }
    hearth_unlock(&wake->lock);
}

void hearth_wake_close(HearthWake *wake)
{
    hearth_lock(&wake->lock);
    GSource *pending = g_steal_pointer(&wake->pending);
    wake->closed = true;
    hearth_unlock(&wake->lock);
    if (!pending) return;
    g_source_destroy(pending);
    g_source_unref(pending);
}
