#include "hardware/hardware_window.h"

#include <glib/gi18n-lib.h>

#include "hardware/plan/forecast.h"
#include "hardware/graph.h"
#include "hardware/graph_card.h"
#include "hardware/host_lines.h"
#include "hardware/report.h"
#include "hardware/plan/residency.h"
#include "hardware/watch.h"
#include "amount.h"

struct _HearthHardwareWindow {
    AdwWindow parent;
    HearthApp *app;
    GtkWidget *toasts, *scroller, *cards, *residency_bin, *forecast_bin, *machine;
    HearthGraphCard *dram, *vram, *speed, *context;
    HearthResidency *residency;
    GPtrArray *rows; /* of the machine; borrowed widgets */
};

G_DEFINE_FINAL_TYPE(HearthHardwareWindow, hearth_hardware_window, ADW_TYPE_WINDOW)

/* ---- graphs ---------------------------------------------------------------------------------- */

typedef double (*SampleFunc)(const HearthSample *sample);

static double dram_used(const HearthSample *sample)
{
    return (double)(sample->dram_total - MIN(sample->dram_available, sample->dram_total));
}

static double vram_used(const HearthSample *sample)
{
    return (double)(sample->vram_total - MIN(sample->vram_available, sample->vram_total));
}

static double rate(const HearthSample *sample) { return sample->rate; }
static double context_used(const HearthSample *sample) { return sample->context_used; }

/* max 0: rounded up from the values. `text`: of the upper edge; NULL: the number. */
static void set_graph(HearthGraphCard *card, const HearthSample *samples, size_t n, SampleFunc func,
                      double max, const char *text)
{
    double values[HEARTH_TELEMETRY_SECONDS];
    for (size_t i = 0; i < n; i++) values[i] = func(&samples[i]);
    if (max <= 0) max = hearth_graph_round_max(values, n, 1);
    g_autofree char *number = hearth_amount_count((gint64)max);
    hearth_graph_card_set_values(card, values, n, max, text ? text : number);
}

static void show_dram(HearthHardwareWindow *window, const HearthSample *samples, size_t n,
                      const HearthSample *now)
{
    uint64_t total = now->dram_total;
    g_autofree char *value = hearth_amount_bytes_of((uint64_t)dram_used(now), total);
    g_autofree char *model = hearth_amount_bytes(now->model_dram);
    g_autofree char *process = hearth_amount_bytes(now->process);
    g_autofree char *detail = g_strdup_printf(_("Model %s, Hearth %s"), model, process);
    g_autofree char *edge = total ? hearth_amount_bytes(total) : g_strdup("");
    hearth_graph_card_set_text(window->dram, now->time ? value : "…", now->time ? detail : NULL);
    set_graph(window->dram, samples, n, dram_used, (double)total, edge);
}

static void show_vram(HearthHardwareWindow *window, const HearthSample *samples, size_t n,
                      const HearthSample *now, const HearthHost *host)
{
    if (!now->vram_total) {
        bool unknown = !host || host->error;
        const char *reason = !host ? NULL : host->error ? host->error : host->gpu_reason;
        hearth_graph_card_set_text(window->vram, unknown ? _("Unknown") : _("No GPU in Use"), NULL);
        hearth_graph_card_set_reason(window->vram, reason ? reason : "");
        return;
    }
    g_autofree char *value = hearth_amount_bytes_of((uint64_t)vram_used(now), now->vram_total);
    g_autofree char *model = hearth_amount_bytes(now->model_vram);
    g_autofree char *detail = g_strdup_printf(_("Model %s"), model);
    g_autofree char *edge = hearth_amount_bytes(now->vram_total);
    hearth_graph_card_set_text(window->vram, value, detail);
    hearth_graph_card_set_reason(window->vram, NULL);
    set_graph(window->vram, samples, n, vram_used, (double)now->vram_total, edge);
}

static void show_context(HearthHardwareWindow *window, const HearthSample *samples, size_t n,
                         const HearthSample *now)
{
    if (!now->context_size) {
        hearth_graph_card_set_text(window->context, _("Not in Use"), NULL);
        hearth_graph_card_set_values(window->context, NULL, 0, 1, "");
        return;
    }
    g_autofree char *value = hearth_amount_count_of(now->context_used, now->context_size);
    hearth_graph_card_set_text(window->context, value, NULL);
    set_graph(window->context, samples, n, context_used, now->context_size, NULL);
}

static void show_graphs(HearthHardwareWindow *window)
{
    HearthTelemetry *telemetry = hearth_app_get_telemetry(window->app);
    HearthSample samples[HEARTH_TELEMETRY_SECONDS];
    size_t n = hearth_telemetry_get_samples(telemetry, samples, G_N_ELEMENTS(samples));
    HearthSample now = hearth_telemetry_get_sample(telemetry);
    show_dram(window, samples, n, &now);
    show_vram(window, samples, n, &now, hearth_telemetry_get_host(telemetry));
    show_context(window, samples, n, &now);
    g_autofree char *speed = hearth_amount_rate(now.rate);
    hearth_graph_card_set_text(window->speed, speed, NULL);
    set_graph(window->speed, samples, n, rate, 0, NULL);
}

/* ---- the machine ----------------------------------------------------------------------------- */

static void add_machine_row(HearthHardwareWindow *window, const char *name, const char *value)
{
    GtkWidget *row = adw_action_row_new();
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), name);
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), value);
    gtk_widget_add_css_class(row, "fact");
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(window->machine), row);
    g_ptr_array_add(window->rows, row);
}

static void show_machine(HearthHardwareWindow *window, const HearthHost *host)
{
    if (window->rows->len || !host) return; /* it does not change */
    if (host->error) {
        add_machine_row(window, _("The hardware could not be looked at"), host->error);
        return;
    }
    g_autoptr(GPtrArray) lines = hearth_host_lines_new(host);
    for (guint i = 0; i < lines->len; i++) {
        HearthHostLine *line = lines->pdata[i];
        add_machine_row(window, line->name, line->value);
    }
}

static void show_model(HearthHardwareWindow *window)
{
    const HearthModelInfo *info = hearth_worker_get_info(hearth_app_get_worker(window->app));
    hearth_residency_set_bytes(window->residency, info ? info->bytes : NULL);
}

static void update(HearthHardwareWindow *window)
{
    show_graphs(window);
    show_machine(window, hearth_telemetry_get_host(hearth_app_get_telemetry(window->app)));
}

static void on_copy(HearthHardwareWindow *window)
{
    HearthTelemetry *telemetry = hearth_app_get_telemetry(window->app);
    HearthSample sample = hearth_telemetry_get_sample(telemetry);
    g_autofree char *text = hearth_report_new(hearth_telemetry_get_host(telemetry),
                                              hearth_app_get_worker(window->app), &sample);
    gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(window)), text);
    adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(window->toasts),
                                adw_toast_new(_("Report copied: paste it where you need it")));
}

/* GObject */

static void hearth_hardware_window_dispose(GObject *object)
{
    HearthHardwareWindow *window = HEARTH_HARDWARE_WINDOW(object);
    g_clear_object(&window->app);
    g_clear_pointer(&window->rows, g_ptr_array_unref);
    G_OBJECT_CLASS(hearth_hardware_window_parent_class)->dispose(object);
}

static void hearth_hardware_window_class_init(HearthHardwareWindowClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_hardware_window_dispose;
    gtk_widget_class_set_template_from_resource(
        widget, "/io/github/hearth_ai/Hearth/hardware/hardware_window.ui");
    gtk_widget_class_bind_template_child(widget, HearthHardwareWindow, toasts);
    gtk_widget_class_bind_template_child(widget, HearthHardwareWindow, cards);
    gtk_widget_class_bind_template_child(widget, HearthHardwareWindow, scroller);
    gtk_widget_class_bind_template_child(widget, HearthHardwareWindow, residency_bin);
    gtk_widget_class_bind_template_child(widget, HearthHardwareWindow, forecast_bin);
    gtk_widget_class_bind_template_child(widget, HearthHardwareWindow, machine);
    gtk_widget_class_bind_template_callback(widget, on_copy);
    gtk_widget_class_add_binding_action(widget, GDK_KEY_Escape, 0, "window.close", NULL);
    gtk_widget_class_add_binding_action(widget, GDK_KEY_w, GDK_CONTROL_MASK, "window.close", NULL);
}

static HearthGraphCard *add_card(HearthHardwareWindow *window, const char *title)
{
    g_autofree char *span = g_strdup_printf(_("%d s"), HEARTH_TELEMETRY_SECONDS);
    GtkWidget *card = hearth_graph_card_new(title, span, HEARTH_TELEMETRY_SECONDS);
    gtk_widget_set_size_request(card, 270, -1);
    gtk_flow_box_append(GTK_FLOW_BOX(window->cards), card);
    gtk_widget_set_focusable(gtk_widget_get_parent(card), FALSE); /* nothing to activate */
    return HEARTH_GRAPH_CARD(card);
}

static void hearth_hardware_window_init(HearthHardwareWindow *window)
{
    window->rows = g_ptr_array_new();
    gtk_widget_init_template(GTK_WIDGET(window));
    window->dram = add_card(window, _("DRAM"));
    window->vram = add_card(window, _("VRAM"));
    window->speed = add_card(window, _("Speed"));
    window->context = add_card(window, _("Context"));
    window->residency = HEARTH_RESIDENCY(hearth_residency_new());
    adw_bin_set_child(ADW_BIN(window->residency_bin), GTK_WIDGET(window->residency));
}

/* Its place is known once it has been given one. */
static gboolean scroll_to_plan(GtkWidget *widget, GdkFrameClock *clock, gpointer data)
{
    HearthHardwareWindow *window = HEARTH_HARDWARE_WINDOW(widget);
    GtkWidget *group = gtk_widget_get_parent(window->residency_bin), *page;
    GtkScrolledWindow *scroller = GTK_SCROLLED_WINDOW(window->scroller);
    graphene_rect_t box;
    (void)clock;
    (void)data;
    group = gtk_widget_get_ancestor(group, ADW_TYPE_PREFERENCES_GROUP);
    page = gtk_widget_get_ancestor(group, ADW_TYPE_CLAMP);
    if (gtk_widget_get_height(group) == 0 || !gtk_widget_compute_bounds(group, page, &box))
        return G_SOURCE_CONTINUE;
    gtk_adjustment_set_value(gtk_scrolled_window_get_vadjustment(scroller), box.origin.y - 12);
    return G_SOURCE_REMOVE;
}

void hearth_hardware_window_show_plan(HearthHardwareWindow *window)
{
    gtk_widget_add_tick_callback(GTK_WIDGET(window), scroll_to_plan, NULL, NULL);
}

GtkWidget *hearth_hardware_window_new(HearthApp *app)
{
    HearthHardwareWindow *window = g_object_new(HEARTH_TYPE_HARDWARE_WINDOW, NULL);
    window->app = g_object_ref(app);
    g_signal_connect_object(hearth_app_get_worker(app), "notify::info", G_CALLBACK(show_model),
                            window, G_CONNECT_SWAPPED);
    adw_bin_set_child(ADW_BIN(window->forecast_bin),
                      hearth_forecast_new(hearth_app_get_worker(app)));
    show_model(window);
    update(window);
    hearth_watch_while_seen(GTK_WIDGET(window), hearth_app_get_telemetry(app), G_CALLBACK(update));
    return GTK_WIDGET(window);
}
