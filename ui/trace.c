#include "trace.h"

#include <stdlib.h>

#define STALL 50000 /* µs */

static bool traces;
static gint64 woken, woken_cpu;

/* Of this thread, in microseconds. 0 where the system does not say. */
static gint64 cpu_time(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents("/proc/thread-self/schedstat", &text, NULL, NULL)) return 0;
    return (gint64)(g_ascii_strtoull(text, NULL, 10) / 1000);
}

static int traced_poll(GPollFD *fds, guint n, int timeout)
{
    gint64 now = g_get_monotonic_time();
    if (woken && now - woken > STALL)
        g_printerr("stall %.1f %.1f %" G_GINT64_FORMAT "\n", (double)(now - woken) / 1e3,
                   (double)(cpu_time() - woken_cpu) / 1e3, now);
    int rc = g_poll(fds, n, timeout);
    woken = g_get_monotonic_time();
    woken_cpu = cpu_time();
    return rc;
}

void hearth_trace_init(void)
{
    traces = g_getenv("HEARTH_TRACE") != NULL;
    if (traces) g_main_context_set_poll_func(NULL, traced_poll);
}

static void on_painted(GdkFrameClock *clock, gpointer name)
{
    g_printerr("frame %s %.1f %" G_GINT64_FORMAT "\n", (char *)name, (double)cpu_time() / 1e3,
               g_get_monotonic_time());
    g_signal_handlers_disconnect_by_func(clock, on_painted, name);
}

static gboolean on_tick(GtkWidget *widget, GdkFrameClock *clock, gpointer name)
{
    (void)widget;
    g_signal_connect(clock, "after-paint", G_CALLBACK(on_painted), name);
    return G_SOURCE_REMOVE;
}

void hearth_trace_frame(GtkWidget *widget, const char *name)
{
    if (traces) gtk_widget_add_tick_callback(widget, on_tick, (gpointer)name, NULL);
}
