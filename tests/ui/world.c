#define TEST_PART
#include "world.h"

#include <glib/gstdio.h>

#include "compat.h"
#include "test.h"

#define SLOW 60 /* seconds that anything may take, under sanitizers and on a busy machine */

bool world_wait(bool (*until)(void *data), void *data)
{
    gint64 end = g_get_monotonic_time() + (gint64)SLOW * G_USEC_PER_SEC;
    while (!until(data)) {
        if (g_get_monotonic_time() > end) return false;
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
    }
    return true;
}

void world_run(double seconds)
{
    gint64 end = g_get_monotonic_time() + (gint64)(seconds * G_USEC_PER_SEC);
    while (g_get_monotonic_time() < end)
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
}

static bool is_ready(void *history) { return hearth_history_is_ready(history); }

bool world_settled(void *worker) { return hearth_worker_get_state(worker) != HEARTH_MODEL_LOADING; }

World *world_new(void)
{
    World *world = g_new0(World, 1);
    g_autoptr(GError) error = NULL;
    world->folder = g_strdup(g_getenv("HEARTH_DATA_DIR"));
    if (!world->folder) g_error("HEARTH_DATA_DIR is not set: run this by run-with-display");
    world->app = hearth_app_new(&error);
    if (!world->app) g_error("%s", error->message);
    world->settings = hearth_app_get_settings(world->app);
    world->chat = hearth_app_get_chat_settings(world->app);
    world->worker = hearth_app_get_worker(world->app);
    world->history = hearth_app_get_history(world->app);
    world->telemetry = hearth_app_get_telemetry(world->app);
    CHECK(world_wait(is_ready, world->history));
    return world;
}

void world_free(World *world)
{
    hearth_app_close(world->app);
    GWeakRef held;
    g_weak_ref_init(&held, world->app);
    g_object_unref(world->app);
    GObject *still = NULL;
    /* Idle sources hold a widget or the app; on a busy machine they take their time. */
    for (int i = 0; i < 400 && (still = g_weak_ref_get(&held)); i++) {
        g_object_unref(still);
        world_run(0.05);
    }
    g_weak_ref_clear(&held);
    CHECK_MSG(!still, "something still holds the program: a widget that was not let go");
    g_autoptr(GDir) dir = g_dir_open(world->folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(world->folder, name, NULL);
        g_remove(path);
    }
    g_free(world->folder);
    g_free(world);
}

typedef struct {
    HearthWorker *worker;
    bool began;
} Loading;

static void on_state(Loading *loading)
{
    loading->began |= hearth_worker_get_state(loading->worker) != HEARTH_MODEL_NONE;
}

static bool is_loaded(void *data)
{
    Loading *loading = data;
    return loading->began && world_settled(loading->worker);
}

HearthModelState world_load(World *world, const char *path)
{
    Loading loading = {world->worker, false};
    gulong handler =
        g_signal_connect_swapped(world->worker, "notify::state", G_CALLBACK(on_state), &loading);
    hearth_app_open_model(world->app, path);
    CHECK_MSG(world_wait(is_loaded, &loading), "%s is not loaded", path);
    g_signal_handler_disconnect(world->worker, handler);
    return hearth_worker_get_state(world->worker);
}

char *world_file(World *world, const char *name, const void *data, size_t size)
{
    char *path = g_build_filename(world->folder, name, NULL);
    CHECK(g_file_set_contents(path, data, (gssize)size, NULL));
    return path;
}

static bool is_mapped(void *widget) { return gtk_widget_get_mapped(widget); }

static bool is_dialog(GtkWidget *widget)
{
#if ADW_CHECK_VERSION(1, 5, 0)
    return ADW_IS_DIALOG(widget);
#else
    (void)widget;
    return false;
#endif
}

GtkWindow *world_show(GtkWidget *widget, int width, int height)
{
    bool dialog = is_dialog(widget);
    GtkWindow *window = GTK_WINDOW(GTK_IS_WINDOW(widget) ? widget
                                   : dialog              ? adw_window_new()
                                                         : gtk_window_new());
    if (!dialog && !GTK_IS_WINDOW(widget)) gtk_window_set_child(window, widget);
    gtk_window_set_default_size(window, width, height);
    gtk_window_present(window);
    if (dialog) hearth_compat_preferences_present(widget, window);
    CHECK(world_wait(is_mapped, widget));
    gtk_test_widget_wait_for_draw(GTK_WIDGET(window));
    return window;
}

/* ---- finding --------------------------------------------------------------------------------- */

GtkWidget *world_find(GtkWidget *widget, GType type, bool (*matches)(GtkWidget *, const char *),
                      const char *text)
{
    if (g_type_is_a(G_OBJECT_TYPE(widget), type) && (!matches || matches(widget, text)))
        return widget;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        GtkWidget *found = world_find(child, type, matches, text);
        if (found) return found;
    }
    return NULL;
}

bool has_title(GtkWidget *row, const char *title)
{
    return g_strcmp0(adw_preferences_row_get_title(ADW_PREFERENCES_ROW(row)), title) == 0;
}

bool has_label(GtkWidget *button, const char *text)
{
    const char *label = gtk_button_get_label(GTK_BUTTON(button));
    g_autofree char *plain = label ? g_strdup(label) : NULL;
    if (!plain) return false;
    char *underscore = strchr(plain, '_');
    if (underscore) memmove(underscore, underscore + 1, strlen(underscore));
    return strcmp(plain, text) == 0;
}

bool has_text(GtkWidget *label, const char *text)
{
    return g_str_has_prefix(gtk_label_get_text(GTK_LABEL(label)), text);
}

bool has_icon(GtkWidget *button, const char *name)
{
    return g_strcmp0(gtk_button_get_icon_name(GTK_BUTTON(button)), name) == 0;
}

bool has_image(GtkWidget *image, const char *name)
{
    return g_strcmp0(gtk_image_get_icon_name(GTK_IMAGE(image)), name) == 0;
}

bool has_tooltip(GtkWidget *widget, const char *text)
{
    return g_strcmp0(gtk_widget_get_tooltip_text(widget), text) == 0;
}

GtkWidget *world_row(GtkWidget *widget, const char *title)
{
    return world_find(widget, ADW_TYPE_PREFERENCES_ROW, has_title, title);
}

GtkWidget *world_in_row(GtkWidget *widget, const char *title, GType type)
{
    GtkWidget *row = world_row(widget, title);
    CHECK_MSG(row, "no row is called %s", title);
    return row ? world_find(row, type, NULL, NULL) : NULL;
}

bool world_seen(GtkWidget *widget) { return widget && gtk_widget_get_mapped(widget); }
