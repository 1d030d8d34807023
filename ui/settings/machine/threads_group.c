#include "settings/machine/threads_group.h"

#include <glib/gi18n-lib.h>

#include "settings/machine/reload_row.h"
#include "settings/setting_row.h"

struct _HearthThreadsGroup {
    AdwPreferencesGroup parent;
    HearthApp *app;
    GtkWidget *row, *reload;
};

G_DEFINE_FINAL_TYPE(HearthThreadsGroup, hearth_threads_group, ADW_TYPE_PREFERENCES_GROUP)

static const HearthRowSpec threads = {
    "threads", HEARTH_ROW_NUMBER, N_("Threads"), NULL, 0, 1024, 1, 0, N_("Automatic"), 0, NULL};

static void show_explanation(HearthThreadsGroup *group, int cores)
{
    g_autofree char *text =
        cores > 0 ? g_strdup_printf(ngettext("Automatic is one per core: %d on this computer",
                                             "Automatic is one per core: %d on this computer",
                                             (gulong)cores),
                                    cores)
                  : g_strdup(_("Automatic is one per core"));
    hearth_setting_row_set_explanation(HEARTH_SETTING_ROW(group->row), text);
}

/* The model that is loaded keeps its threads. */
static void update(HearthThreadsGroup *group)
{
    const HearthHost *host = hearth_telemetry_get_host(hearth_app_get_telemetry(group->app));
    int cores = host && !host->error ? host->cores : 0;
    show_explanation(group, cores);
    HearthModelInfo *info = hearth_worker_get_info(hearth_app_get_worker(group->app));
    int wanted = g_settings_get_int(hearth_app_get_settings(group->app), "threads");
    if (wanted == 0) wanted = cores;
    bool differs = info && wanted > 0 && info->threads != wanted;
    g_autofree char *text =
        differs ? g_strdup_printf(ngettext("It uses %d thread now", "It uses %d threads now",
                                           (gulong)info->threads),
                                  info->threads)
                : NULL;
    hearth_reload_row_set(HEARTH_RELOAD_ROW(group->reload), NULL, text);
}

/* GObject */

static void hearth_threads_group_dispose(GObject *object)
{
    HearthThreadsGroup *group = HEARTH_THREADS_GROUP(object);
    g_clear_object(&group->app);
    G_OBJECT_CLASS(hearth_threads_group_parent_class)->dispose(object);
}

static void hearth_threads_group_class_init(HearthThreadsGroupClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_threads_group_dispose;
}

static void hearth_threads_group_init(HearthThreadsGroup *group)
{
    adw_preferences_group_set_title(ADW_PREFERENCES_GROUP(group), _("Processor"));
}

GtkWidget *hearth_threads_group_new(HearthApp *app)
{
    HearthThreadsGroup *group = g_object_new(HEARTH_TYPE_THREADS_GROUP, NULL);
    group->app = g_object_ref(app);
    group->row = hearth_setting_row_new(&threads, hearth_app_get_settings(app), NULL);
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), group->row);
    group->reload = hearth_reload_row_new(app);
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), group->reload);
    g_signal_connect_object(hearth_app_get_settings(app), "changed::threads", G_CALLBACK(update),
                            group, G_CONNECT_SWAPPED);
    g_signal_connect_object(hearth_app_get_worker(app), "notify::info", G_CALLBACK(update), group,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(hearth_app_get_telemetry(app), "host", G_CALLBACK(update), group,
                            G_CONNECT_SWAPPED);
    update(group);
    return GTK_WIDGET(group);
}
