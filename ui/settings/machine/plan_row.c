#include "settings/machine/plan_row.h"

#include <glib/gi18n-lib.h>

#include "hardware/plan/plan_words.h"
#include "hardware/plan/residency.h"
#include "models/model_name.h"

#define PAUSE_MS 300 /* after which one has stopped typing */

struct _HearthPlanRow {
    AdwExpanderRow parent;
    HearthApp *app;
    GtkWidget *residency;
    GCancellable *planning; /* or NULL */
    guint timer;
    GError *error; /* why there is no plan, or NULL */
};

G_DEFINE_FINAL_TYPE(HearthPlanRow, hearth_plan_row, ADW_TYPE_EXPANDER_ROW)

static guint planned_signal;

/* ---- showing --------------------------------------------------------------------------------- */

static void say(HearthPlanRow *row, const char *text, const HearthPlan *plan)
{
    adw_expander_row_set_subtitle(ADW_EXPANDER_ROW(row), text);
    if (row->error)
        gtk_widget_add_css_class(GTK_WIDGET(row), "refused");
    else
        gtk_widget_remove_css_class(GTK_WIDGET(row), "refused");
    adw_expander_row_set_enable_expansion(ADW_EXPANDER_ROW(row), plan != NULL);
    hearth_residency_set_bytes(HEARTH_RESIDENCY(row->residency), plan ? plan->bytes : NULL);
}

/* Why a GPU that there is has no part in it, when that was not wished for. */
static const char *unused(HearthPlanRow *row, const HearthPlan *plan)
{
    const HearthHost *host = hearth_telemetry_get_host(hearth_app_get_telemetry(row->app));
    bool wished = g_settings_get_boolean(hearth_app_get_settings(row->app), "use-gpu");
    return wished && host && host->vram_total ? plan->gpu_reason : NULL;
}

static void show_plan(HearthPlanRow *row, const HearthPlan *plan)
{
    g_autofree char *speed = hearth_plan_words_decode(plan);
    g_autofree char *memory = hearth_plan_words_memory(plan);
    const char *reason = unused(row, plan);
    /* Translators: a sentence that says why */
    g_autofree char *without =
        reason ? g_strdup_printf(_("The GPU is not used: %s"), reason) : NULL;
    g_autofree char *text = without ? g_strjoin("\n", speed, memory, without, NULL)
                                    : g_strjoin("\n", speed, memory, NULL);
    say(row, text, plan);
}

/* A row that opens has no name from its title. */
static void set_title(HearthPlanRow *row, const char *title)
{
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), title);
    gtk_accessible_update_property(GTK_ACCESSIBLE(row), GTK_ACCESSIBLE_PROPERTY_LABEL, title, -1);
}

static void show_title(HearthPlanRow *row, const char *path)
{
    HearthModelInfo *info = hearth_worker_get_info(hearth_app_get_worker(row->app));
    g_autofree char *name =
        info ? hearth_model_name_of_info(info) : hearth_model_name_of_path(path);
    /* Translators: a model's name */
    g_autofree char *title = g_strdup_printf(_("Plan for %s"), name);
    set_title(row, title);
}

/* ---- planning -------------------------------------------------------------------------------- */

/* Of a plan that is no longer wanted nothing is told. */
static void on_planned(GObject *worker, GAsyncResult *result, gpointer data)
{
    g_autoptr(HearthPlanRow) row = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(HearthPlan) plan = hearth_worker_plan_finish(HEARTH_WORKER(worker), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED) || !row->app) return;
    g_clear_object(&row->planning);
    g_clear_error(&row->error);
    row->error = g_steal_pointer(&error);
    if (plan)
        show_plan(row, plan);
    else
        say(row, row->error->message, NULL);
    g_signal_emit(row, planned_signal, 0);
}

static gboolean plan(gpointer data)
{
    HearthPlanRow *row = data;
    HearthWorker *worker = hearth_app_get_worker(row->app);
    g_autofree char *path = NULL;
    g_auto(HearthModelSettings) settings = hearth_model_settings_read(
        hearth_app_get_settings(row->app), hearth_app_get_chat_settings(row->app));
    row->timer = 0;
    g_object_get(worker, "path", &path, NULL);
    show_title(row, path);
    if (hearth_model_settings_has_plugin(settings.rules)) { /* half a path may be another file's */
        g_clear_error(&row->error);
        say(row, _("Rules with a plug-in are tried when the model is loaded"), NULL);
        g_signal_emit(row, planned_signal, 0);
        return G_SOURCE_REMOVE;
    }
    row->planning = g_cancellable_new();
    hearth_worker_plan_async(worker, path, &settings, row->planning, on_planned, g_object_ref(row));
    return G_SOURCE_REMOVE;
}

static void forget(HearthPlanRow *row)
{
    g_clear_handle_id(&row->timer, g_source_remove);
    if (row->planning) g_cancellable_cancel(row->planning);
    g_clear_object(&row->planning);
}

/* While a model is loaded, what is free changes from moment to moment. */
static void plan_soon(HearthPlanRow *row)
{
    HearthModelState state = hearth_worker_get_state(hearth_app_get_worker(row->app));
    forget(row);
    if (state == HEARTH_MODEL_LOADING) {
        g_clear_error(&row->error);
        say(row, _("The model is being loaded…"), NULL);
        return;
    }
    row->timer = g_timeout_add(PAUSE_MS, plan, row);
}

const GError *hearth_plan_row_get_error(HearthPlanRow *row) { return row->error; }

/* GObject */

static void hearth_plan_row_dispose(GObject *object)
{
    HearthPlanRow *row = HEARTH_PLAN_ROW(object);
    forget(row);
    g_clear_object(&row->app);
    g_clear_error(&row->error);
    G_OBJECT_CLASS(hearth_plan_row_parent_class)->dispose(object);
}

static void hearth_plan_row_class_init(HearthPlanRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_plan_row_dispose;
    planned_signal = g_signal_new("planned", HEARTH_TYPE_PLAN_ROW, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 0);
}

static void hearth_plan_row_init(HearthPlanRow *row)
{
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    set_title(row, _("Plan"));
    row->residency = hearth_residency_new();
    gtk_widget_remove_css_class(row->residency, "card"); /* it lies in one */
    adw_expander_row_add_row(ADW_EXPANDER_ROW(row),
                             g_object_new(ADW_TYPE_PREFERENCES_ROW, "child", row->residency,
                                          "activatable", FALSE, "focusable", FALSE, "title",
                                          _("What Lives Where"), NULL));
    say(row, _("Making the plan…"), NULL);
}

GtkWidget *hearth_plan_row_new(HearthApp *app)
{
    static const char *const program[] = {"changed::use-gpu", "changed::gpus", "changed::vram",
                                          "changed::rules"};
    static const char *const chat[] = {"changed::context", "changed::kv-type"};
    static const char *const model[] = {"notify::state", "notify::path"};
    HearthPlanRow *row = g_object_new(HEARTH_TYPE_PLAN_ROW, NULL);
    row->app = g_object_ref(app);
    for (size_t i = 0; i < G_N_ELEMENTS(program); i++)
        g_signal_connect_object(hearth_app_get_settings(app), program[i], G_CALLBACK(plan_soon),
                                row, G_CONNECT_SWAPPED);
    for (size_t i = 0; i < G_N_ELEMENTS(chat); i++)
        g_signal_connect_object(hearth_app_get_chat_settings(app), chat[i], G_CALLBACK(plan_soon),
                                row, G_CONNECT_SWAPPED);
    for (size_t i = 0; i < G_N_ELEMENTS(model); i++)
        g_signal_connect_object(hearth_app_get_worker(app), model[i], G_CALLBACK(plan_soon), row,
                                G_CONNECT_SWAPPED);
    g_signal_connect_object(hearth_app_get_telemetry(app), "host", G_CALLBACK(plan_soon), row,
                            G_CONNECT_SWAPPED);
    plan_soon(row);
    return GTK_WIDGET(row);
}
