#include "settings/machine/gpu_group.h"

#include <glib/gi18n-lib.h>
#include <math.h>

#include "amount.h"
#include "error.h"
#include "hardware/host_lines.h"
#include "settings/machine/plan_row.h"
#include "settings/machine/reload_row.h"
#include "settings/machine/rules_row.h"
#include "settings/setting_row.h"

#define GIB 1073741824.0
#define STEP 0.5 /* GiB */

struct _HearthGpuGroup {
    AdwPreferencesGroup parent;
    HearthApp *app;
    GtkWidget *use, *gpus, *vram, *rules, *plan, *reload;
};

G_DEFINE_FINAL_TYPE(HearthGpuGroup, hearth_gpu_group, ADW_TYPE_PREFERENCES_GROUP)

static const HearthRowSpec use_spec = {"use-gpu", HEARTH_ROW_SWITCH, N_("Use the GPU"), NULL};

/* Where there are several. */
static const HearthRowSpec gpus_spec = {.key = "gpus",
                                        .kind = HEARTH_ROW_NUMBER,
                                        .title = N_("GPUs at Most"),
                                        .subtitle = N_("A model's layers are shared out to so "
                                                       "many where that makes it quicker"),
                                        .lower = 1,
                                        .upper = 4,
                                        .step = 1};

/* All that is free comes after the largest amount: the whole card. */
static const HearthRowSpec vram_spec = {.key = "vram",
                                        .kind = HEARTH_ROW_NUMBER,
                                        .title = N_("VRAM at Most, in GiB"),
                                        .lower = 0.1,
                                        .upper = 4096,
                                        .step = STEP,
                                        .digits = 1,
                                        .special_text = N_("All Free"),
                                        .special = 0,
                                        .special_last = true};

/* ---- the card -------------------------------------------------------------------------------- */

static void show_vram(HearthGpuGroup *group, const HearthHost *host)
{
    uint64_t most = host->vram_total;
    for (int i = 1; i < host->n_gpus; i++) most = MAX(most, host->gpus[i].vram_total);
    g_autofree char *size = hearth_amount_bytes(most);
    const char *each = _("Of each GPU. All Free takes what other programs leave; a model that "
                         "needs more than is allowed is not loaded");
    /* Translators: the size of a GPU's memory */
    g_autofree char *text = g_strdup_printf(
        _("Of %s. All Free takes what other programs leave; a model that needs more than is "
          "allowed is not loaded"),
        size);
    hearth_setting_row_set_explanation(HEARTH_SETTING_ROW(group->vram),
                                       host->n_gpus > 1 ? each : text);
    hearth_setting_row_set_upper(HEARTH_SETTING_ROW(group->vram),
                                 ceil((double)most / GIB / STEP) * STEP);
}

static void show_card(HearthGpuGroup *group)
{
    const HearthHost *host = hearth_telemetry_get_host(hearth_app_get_telemetry(group->app));
    bool used = g_settings_get_boolean(hearth_app_get_settings(group->app), "use-gpu");
    bool there = host && !host->error && host->vram_total > 0;
    g_autofree char *card = host ? hearth_host_lines_gpu(host) : g_strdup(_("Looking for one…"));
    hearth_setting_row_set_explanation(HEARTH_SETTING_ROW(group->use), card);
    gtk_widget_set_sensitive(group->use, there);
    gtk_widget_set_visible(group->gpus, there && host->n_gpus > 1);
    gtk_widget_set_sensitive(group->gpus, used);
    gtk_widget_set_visible(group->vram, there);
    gtk_widget_set_sensitive(group->vram, used);
    if (!there) return;
    hearth_setting_row_set_upper(HEARTH_SETTING_ROW(group->gpus), host->n_gpus);
    show_vram(group, host);
}

/* ---- the model ------------------------------------------------------------------------------- */

static void show_reload(HearthGpuGroup *group)
{
    HearthWorker *worker = hearth_app_get_worker(group->app);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    HearthReloadRow *row = HEARTH_RELOAD_ROW(group->reload);
    const char *error = hearth_worker_get_error(worker); /* if asked for again already */
    g_auto(HearthModelSettings) now = hearth_model_settings_read(
        hearth_app_get_settings(group->app), hearth_app_get_chat_settings(group->app));
    if (hearth_worker_get_state(worker) == HEARTH_MODEL_FAILED)
        hearth_reload_row_set(row, _("The model could not be loaded"), error);
    else if (!info)
        hearth_reload_row_set(row, NULL, NULL);
    else if (!hearth_model_settings_place_alike(&now, &info->settings, info->gpu != NULL))
        hearth_reload_row_set(row, error ? _("The model could not be loaded") : NULL,
                              error ? error : _("Until then it stays where it is"));
    else if (info->gpu_state == HEARTH_GPU_FAILED)
        hearth_reload_row_set(row, _("The GPU failed"), info->gpu_reason);
    else
        hearth_reload_row_set(row, NULL, NULL);
}

static void on_setting(HearthGpuGroup *group)
{
    show_card(group);
    show_reload(group);
}

/* What is written wrongly is told where it is written. */
static void on_planned(HearthGpuGroup *group)
{
    const GError *error = hearth_plan_row_get_error(HEARTH_PLAN_ROW(group->plan));
    bool wrong = g_error_matches(error, HEARTH_ERROR, HEARTH_ERROR_USAGE);
    g_auto(HearthModelSettings) now = hearth_model_settings_read(
        hearth_app_get_settings(group->app), hearth_app_get_chat_settings(group->app));
    wrong = wrong && hearth_model_settings_count_rules(now.rules);
    hearth_rules_row_set_error(HEARTH_RULES_ROW(group->rules), wrong ? error->message : NULL);
}

/* GObject */

static void hearth_gpu_group_dispose(GObject *object)
{
    g_clear_object(&HEARTH_GPU_GROUP(object)->app);
    G_OBJECT_CLASS(hearth_gpu_group_parent_class)->dispose(object);
}

static void hearth_gpu_group_class_init(HearthGpuGroupClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_gpu_group_dispose;
}

static void hearth_gpu_group_init(HearthGpuGroup *group)
{
    adw_preferences_group_set_title(ADW_PREFERENCES_GROUP(group), _("Graphics"));
    adw_preferences_group_set_description(ADW_PREFERENCES_GROUP(group),
                                          _("These count when a model is loaded."));
}

static void follow(HearthGpuGroup *group)
{
    static const char *const program[] = {"changed::use-gpu", "changed::gpus", "changed::vram",
                                          "changed::rules"};
    static const char *const chat[] = {"changed::context", "changed::kv-type"};
    static const char *const model[] = {"notify::state", "notify::info", "notify::error"};
    for (size_t i = 0; i < G_N_ELEMENTS(program); i++)
        g_signal_connect_object(hearth_app_get_settings(group->app), program[i],
                                G_CALLBACK(on_setting), group, G_CONNECT_SWAPPED);
    for (size_t i = 0; i < G_N_ELEMENTS(chat); i++)
        g_signal_connect_object(hearth_app_get_chat_settings(group->app), chat[i],
                                G_CALLBACK(show_reload), group, G_CONNECT_SWAPPED);
    for (size_t i = 0; i < G_N_ELEMENTS(model); i++)
        g_signal_connect_object(hearth_app_get_worker(group->app), model[i],
                                G_CALLBACK(show_reload), group, G_CONNECT_SWAPPED);
    g_signal_connect_object(hearth_app_get_telemetry(group->app), "host", G_CALLBACK(show_card),
                            group, G_CONNECT_SWAPPED);
    g_signal_connect_object(group->plan, "planned", G_CALLBACK(on_planned), group,
                            G_CONNECT_SWAPPED);
}

GtkWidget *hearth_gpu_group_new(HearthApp *app)
{
    HearthGpuGroup *group = g_object_new(HEARTH_TYPE_GPU_GROUP, NULL);
    GSettings *settings = hearth_app_get_settings(app);
    group->app = g_object_ref(app);
    GtkWidget *rows[] = {group->use = hearth_setting_row_new(&use_spec, settings, NULL),
                         group->gpus = hearth_setting_row_new(&gpus_spec, settings, NULL),
                         group->vram = hearth_setting_row_new(&vram_spec, settings, NULL),
                         group->rules = hearth_rules_row_new(settings),
                         group->plan = hearth_plan_row_new(app),
                         group->reload = hearth_reload_row_new(app)};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), rows[i]);
    follow(group);
    on_setting(group);
    return GTK_WIDGET(group);
}
