#include "settings/context_cost.h"

#include <glib/gi18n-lib.h>

#include "hardware/watch.h"
#include "amount.h"
#include "settings/setting.h"

struct _HearthContextCost {
    AdwActionRow parent;
    HearthApp *app;
    HearthSetting *context, *kv_type;
    GtkWidget *warning;
};

G_DEFINE_FINAL_TYPE(HearthContextCost, hearth_context_cost, ADW_TYPE_ACTION_ROW)

bool hearth_context_cost_text(const HearthModelInfo *info, int context, const char *kv_type,
                              uint64_t available, char **ret_title, char **ret_subtitle)
{
    if (!info) {
        *ret_title = g_strdup(_("Memory Needed"));
        *ret_subtitle = g_strdup(_("Load a model to see it: it differs between models"));
        return false;
    }
    int trained = info->context_trained;
    int tokens = hearth_model_info_context(info, context);
    uint64_t bytes = (uint64_t)tokens * hearth_model_info_kv_bytes(info, kv_type);
    g_autofree char *size = hearth_amount_bytes(bytes);
    g_autofree char *count = hearth_amount_tokens(tokens);
    *ret_title = g_strdup_printf(_("Needs %s"), size);
    if (available && bytes > available) {
        g_autofree char *free_text = hearth_amount_bytes(available);
        *ret_subtitle = g_strdup_printf(
            _("Only %s of memory are free: choose a shorter context, or close other programs"),
            free_text);
        return true;
    }
    if (trained && tokens > trained) {
        g_autofree char *trained_text = hearth_amount_tokens(trained);
        *ret_subtitle = g_strdup_printf(
            _("This model was trained with %s: beyond them its answers get worse"), trained_text);
        return true;
    }
    *ret_subtitle = g_strdup_printf(context ? _("For %s per conversation, with the loaded model")
                                            : _("For %s, chosen for the loaded model"),
                                    count);
    return false;
}

static void update(HearthContextCost *cost)
{
    g_autofree char *title = NULL, *subtitle = NULL;
    g_autoptr(GVariant) context = hearth_setting_get_value(cost->context);
    g_autoptr(GVariant) kv = hearth_setting_get_value(cost->kv_type);
    HearthSample sample = hearth_telemetry_get_sample(hearth_app_get_telemetry(cost->app));
    bool warns = hearth_context_cost_text(
        hearth_worker_get_info(hearth_app_get_worker(cost->app)), g_variant_get_int32(context),
        g_variant_get_string(kv, NULL), sample.dram_available, &title, &subtitle);
    gtk_widget_set_visible(cost->warning, warns);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(cost), title);
    adw_action_row_set_subtitle(ADW_ACTION_ROW(cost), subtitle);
}

/* GObject */

static void hearth_context_cost_dispose(GObject *object)
{
    HearthContextCost *cost = HEARTH_CONTEXT_COST(object);
    g_clear_object(&cost->app);
    g_clear_object(&cost->context);
    g_clear_object(&cost->kv_type);
    G_OBJECT_CLASS(hearth_context_cost_parent_class)->dispose(object);
}

static void hearth_context_cost_class_init(HearthContextCostClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_context_cost_dispose;
}

static void hearth_context_cost_init(HearthContextCost *cost)
{
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(cost), FALSE);
    cost->warning = gtk_image_new_from_icon_name("dialog-warning-symbolic");
    gtk_widget_add_css_class(cost->warning, "warning");
    gtk_accessible_update_property(GTK_ACCESSIBLE(cost->warning), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Warning"), -1);
    adw_action_row_add_suffix(ADW_ACTION_ROW(cost), cost->warning);
}

GtkWidget *hearth_context_cost_new(HearthApp *app, GSettings *own, GSettings *defaults)
{
    HearthContextCost *cost = g_object_new(HEARTH_TYPE_CONTEXT_COST, NULL);
    cost->app = g_object_ref(app);
    cost->context = hearth_setting_new(own, defaults, "context");
    cost->kv_type = hearth_setting_new(own, defaults, "kv-type");
    g_signal_connect_object(cost->context, "changed", G_CALLBACK(update), cost, G_CONNECT_SWAPPED);
    g_signal_connect_object(cost->kv_type, "changed", G_CALLBACK(update), cost, G_CONNECT_SWAPPED);
    g_signal_connect_object(hearth_app_get_worker(app), "notify::info", G_CALLBACK(update), cost,
                            G_CONNECT_SWAPPED);
    update(cost);
    hearth_watch_while_seen(GTK_WIDGET(cost), hearth_app_get_telemetry(app), G_CALLBACK(update));
    return GTK_WIDGET(cost);
}
