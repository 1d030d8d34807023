#include "hardware/plan/forecast.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "hardware/plan/plan_words.h"
#include "amount.h"

typedef enum { COMPUTES, WRITES, READS, LOADS, RULES, N_LINES } Line;

struct _HearthForecast {
    AdwPreferencesGroup parent;
    HearthWorker *worker;
    GtkWidget *rows[N_LINES];
};

G_DEFINE_FINAL_TYPE(HearthForecast, hearth_forecast, ADW_TYPE_PREFERENCES_GROUP)

static const char *const names[N_LINES] = {
    [COMPUTES] = N_("Computed By"),    [WRITES] = N_("Writing Answers"),
    [READS] = N_("Reading Questions"), [LOADS] = N_("Loading a Model"),
    [RULES] = N_("Placement Rules"),
};

/* ---- words ----------------------------------------------------------------------------------- */

/* Either may be NULL. */
static char *both(const char *predicted, const char *measured)
{
    if (!measured) return g_strdup(predicted);
    /* Translators: "8.7 tok/s over 412 tokens" */
    g_autofree char *said = g_strdup_printf(_("Measured in the last answer: %s"), measured);
    return predicted ? g_strconcat(predicted, "\n", said, NULL) : g_steal_pointer(&said);
}

static char *write_text(const HearthPlan *plan, const HearthStats *last)
{
    g_autofree char *predicted = plan ? hearth_plan_words_decode(plan) : NULL;
    g_autofree char *measured = hearth_plan_words_decoded(last);
    return both(predicted, measured);
}

static char *read_text(const HearthPlan *plan, const HearthStats *last)
{
    g_autofree char *predicted = plan ? hearth_plan_words_prefill(plan) : NULL;
    g_autofree char *measured = hearth_plan_words_prefilled(last);
    return both(predicted, measured);
}

static char *load_text(const HearthModelInfo *info)
{
    g_autofree char *predicted = info->plan ? hearth_plan_words_load(info->plan) : NULL;
    g_autofree char *time = hearth_amount_duration(info->load_s);
    /* Translators: "12 seconds" */
    g_autofree char *took = g_strdup_printf(_("This time it took %s"), time);
    return predicted ? g_strconcat(predicted, "\n", took, NULL) : g_strdup(took);
}

static char *rules_text(const HearthModelInfo *info)
{
    int n = hearth_model_settings_count_rules(info->settings.rules);
    if (!n) return NULL;
    return g_strdup_printf(ngettext("%d line, from the preferences",
                                    "%d lines, from the "
                                    "preferences",
                                    (gulong)n),
                           n);
}

/* NULL: nothing to say. */
static char *line_text(HearthWorker *worker, Line line)
{
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    HearthStats last = hearth_worker_get_last_stats(worker);
    if (!info) return NULL;
    switch (line) {
    case COMPUTES: return hearth_plan_words_computes(info);
    case WRITES: return write_text(info->plan, &last);
    case READS: return read_text(info->plan, &last);
    case LOADS: return load_text(info);
    case RULES: return rules_text(info);
    case N_LINES: break;
    }
    return NULL;
}

char *hearth_forecast_text(HearthWorker *worker)
{
    GString *text = g_string_new(NULL);
    for (int line = 0; line < N_LINES; line++) {
        g_autofree char *value = line_text(worker, line);
        if (!value) continue;
        for (char *at = value; (at = strchr(at, '\n'));) *at = ' ';
        g_string_append_printf(text, "%s: %s\n", _(names[line]), value);
    }
    return g_string_free(text, FALSE);
}

static void update(HearthForecast *forecast)
{
    bool any = hearth_worker_get_info(forecast->worker) != NULL;
    gtk_widget_set_visible(GTK_WIDGET(forecast), any);
    for (int line = 0; line < N_LINES && any; line++) {
        g_autofree char *value = line_text(forecast->worker, line);
        gtk_widget_set_visible(forecast->rows[line], value != NULL);
        adw_action_row_set_subtitle(ADW_ACTION_ROW(forecast->rows[line]), value ? value : "");
    }
}

/* GObject */

static void hearth_forecast_dispose(GObject *object)
{
    g_clear_object(&HEARTH_FORECAST(object)->worker);
    G_OBJECT_CLASS(hearth_forecast_parent_class)->dispose(object);
}

static void hearth_forecast_class_init(HearthForecastClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_forecast_dispose;
}

static void hearth_forecast_init(HearthForecast *forecast)
{
    AdwPreferencesGroup *group = ADW_PREFERENCES_GROUP(forecast);
    adw_preferences_group_set_title(group, _("What to Expect"));
    adw_preferences_group_set_description(group, _("Estimated from the hardware, next to what was "
                                                   "measured"));
    for (int line = 0; line < N_LINES; line++) {
        GtkWidget *row = forecast->rows[line] = adw_action_row_new();
        adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
        adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), _(names[line]));
        gtk_widget_add_css_class(row, "fact");
        adw_preferences_group_add(group, row);
    }
}

GtkWidget *hearth_forecast_new(HearthWorker *worker)
{
    HearthForecast *forecast = g_object_new(HEARTH_TYPE_FORECAST, NULL);
    forecast->worker = g_object_ref(worker);
    static const char *const changes[] = {"notify::info", "notify::busy"};
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
        g_signal_connect_object(worker, changes[i], G_CALLBACK(update), forecast,
                                G_CONNECT_SWAPPED);
    update(forecast);
    return GTK_WIDGET(forecast);
}
