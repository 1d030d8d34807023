#include "hardware/watch.h"

#include <stdbool.h>

typedef struct {
    GtkWidget *widget; /* whose data this is */
    HearthTelemetry *telemetry;
    void (*changed)(GtkWidget *);
    GdkSurface *surface; /* of the window, while mapped */
    gulong state_handler;
    gulong handlers[3]; /* of the telemetry, while watching */
    bool watching;
} Watch;

static void set_watching(Watch *watch, bool watching)
{
    static const char *const signals[] = {"sampled", "rated", "host"};
    if (watch->watching == watching) return;
    watch->watching = watching;
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
        if (watching)
            watch->handlers[i] = g_signal_connect_swapped(
                watch->telemetry, signals[i], G_CALLBACK(watch->changed), watch->widget);
        else
            g_clear_signal_handler(&watch->handlers[i], watch->telemetry);
    }
    hearth_telemetry_watch(watch->telemetry, watching);
    if (watching) watch->changed(watch->widget);
}

static void update(Watch *watch)
{
    bool seen = watch->surface && !(gdk_toplevel_get_state(GDK_TOPLEVEL(watch->surface)) &
                                    GDK_TOPLEVEL_STATE_MINIMIZED);
    set_watching(watch, seen);
}

static void leave_surface(Watch *watch)
{
    if (watch->surface) g_clear_signal_handler(&watch->state_handler, watch->surface);
    g_clear_object(&watch->surface);
}

static void on_map(Watch *watch)
{
    GtkNative *native = gtk_widget_get_native(watch->widget);
    GdkSurface *surface = native ? gtk_native_get_surface(native) : NULL;
    leave_surface(watch);
    if (GDK_IS_TOPLEVEL(surface)) {
        watch->surface = g_object_ref(surface);
        watch->state_handler =
            g_signal_connect_swapped(surface, "notify::state", G_CALLBACK(update), watch);
    }
    update(watch);
}

static void on_unmap(Watch *watch)
{
    leave_surface(watch);
    update(watch);
}

static void watch_free(gpointer data)
{
    Watch *watch = data;
    leave_surface(watch);
    set_watching(watch, false);
    g_object_unref(watch->telemetry);
    g_free(watch);
}

void hearth_watch_while_seen(GtkWidget *widget, HearthTelemetry *telemetry, GCallback changed)
{
    Watch *watch = g_new0(Watch, 1);
    watch->widget = widget;
    watch->telemetry = g_object_ref(telemetry);
    watch->changed = (void (*)(GtkWidget *))changed;
    g_object_set_data_full(G_OBJECT(widget), "hearth-watch", watch, watch_free);
    g_signal_connect_swapped(widget, "map", G_CALLBACK(on_map), watch);
    g_signal_connect_swapped(widget, "unmap", G_CALLBACK(on_unmap), watch);
    if (gtk_widget_get_mapped(widget)) on_map(watch);
}
