#include "worker/flow/wake.h"

#include "sync.h"

struct HearthWake {
    int refs; /* atomic */
    GMainContext *context;
    int per_second;
    void (*deliver)(void *data);
    void *data;

    GMutex lock;
    GSource *pending;
    gint64 last; /* when it delivered, monotonic; 0: not yet */
    bool closed;
};

HearthWake *hearth_wake_new(int per_second, void (*deliver)(void *data), void *data)
{
    HearthWake *wake = g_new0(HearthWake, 1);
    wake->refs = 1;
    wake->context = g_main_context_ref_thread_default();
    wake->per_second = per_second;
    wake->deliver = deliver;
    wake->data = data;
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

static gboolean call(GSource *source, GSourceFunc function, void *data)
{
    (void)source;
    return function(data);
}

static GSourceFuncs calls = {.dispatch = call};

/* The next beat of a clock that all have in common. Not an interval after the last time: those who
 * ring as often, or a whole number of times as often, then deliver together, and what they change
 * is one frame to draw. */
static gint64 next_beat(const HearthWake *wake)
{
    gint64 beats = wake->last * wake->per_second / G_USEC_PER_SEC + 1;
    return wake->last ? (beats * G_USEC_PER_SEC + wake->per_second - 1) / wake->per_second : 0;
}

void hearth_wake_ring(HearthWake *wake)
{
    hearth_lock(&wake->lock);
    if (!wake->pending && !wake->closed) {
        wake->pending = g_source_new(&calls, sizeof(GSource));
        g_source_set_ready_time(wake->pending, next_beat(wake));
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
