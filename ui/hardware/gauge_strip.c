#include "hardware/gauge_strip.h"

#include <glib/gi18n-lib.h>

#include "hardware/graph.h"
#include "hardware/host_lines.h"
#include "hardware/watch.h"
#include "amount.h"
#include "models/model_name.h"

#define RATES 100 /* of the sparkline: 20 seconds of answering */

struct _HearthGaugeStrip {
    AdwBin parent;
    HearthApp *app;
    GtkWidget *grid, *state_box, *dot, *state;
    GtkWidget *vram_name, *vram, *vram_text, *no_gpu;
    GtkWidget *dram_name, *dram, *dram_text, *dram_parts;
    GtkWidget *context_name, *context, *context_text;
    GtkWidget *speed_box, *speed, *sparkline;
    gint64 sampled;         /* time of the sample that the memory shows */
    const HearthHost *host; /* as the memory shows it; only compared */
};

G_DEFINE_FINAL_TYPE(HearthGaugeStrip, hearth_gauge_strip, ADW_TYPE_BIN)

/* ---- bars ------------------------------------------------------------------------------------ */

/* At 80 and 95 percent the colour changes. "low", "high" and "full" of GtkLevelBar mean the
 * opposite of what they do for memory, so these have names of their own (style.css). */
static void prepare_bar(GtkWidget *widget)
{
    static const char *const defaults[] = {GTK_LEVEL_BAR_OFFSET_LOW, GTK_LEVEL_BAR_OFFSET_HIGH,
                                           GTK_LEVEL_BAR_OFFSET_FULL};
    GtkLevelBar *bar = GTK_LEVEL_BAR(widget);
    for (size_t i = 0; i < G_N_ELEMENTS(defaults); i++)
        gtk_level_bar_remove_offset_value(bar, defaults[i]);
    gtk_level_bar_add_offset_value(bar, "roomy", 0.80);
    gtk_level_bar_add_offset_value(bar, "tight", 0.95);
    gtk_level_bar_add_offset_value(bar, "nearly-out", 1.0);
}

static void set_bar(GtkWidget *bar, GtkWidget *label, double used, double total, const char *text)
{
    gtk_level_bar_set_value(GTK_LEVEL_BAR(bar), total > 0 ? CLAMP(used / total, 0, 1) : 0);
    gtk_accessible_update_property(GTK_ACCESSIBLE(bar), GTK_ACCESSIBLE_PROPERTY_VALUE_TEXT, text,
                                   -1);
    gtk_label_set_text(GTK_LABEL(label), text);
}

static void set_memory(GtkWidget *bar, GtkWidget *label, uint64_t available, uint64_t total)
{
    uint64_t used = total - MIN(available, total);
    g_autofree char *text = total ? hearth_amount_bytes_of(used, total) : g_strdup("–");
    set_bar(bar, label, (double)used, (double)total, text);
}

static void show_memory(HearthGaugeStrip *strip, const HearthSample *sample, const HearthHost *host)
{
    bool has_gpu = sample->vram_total > 0;
    gtk_widget_set_visible(strip->vram, has_gpu);
    gtk_widget_set_visible(strip->vram_text, has_gpu);
    gtk_widget_set_visible(strip->no_gpu, !has_gpu);
    if (has_gpu)
        set_memory(strip->vram, strip->vram_text, sample->vram_available, sample->vram_total);
    g_autofree char *reason = host && !has_gpu ? hearth_host_lines_no_gpu(host) : NULL;
    gtk_widget_set_tooltip_text(strip->no_gpu, reason);

    set_memory(strip->dram, strip->dram_text, sample->dram_available, sample->dram_total);
    g_autofree char *process = hearth_amount_bytes(sample->process);
    g_autofree char *model = hearth_amount_bytes(sample->model_dram);
    g_autofree char *parts =
        !sample->time ? g_strdup("")
        : sample->model_dram
            /* Translators: memory that the model takes, and that the whole program takes */
            ? g_strdup_printf(_("Model %s, Hearth %s"), model, process)
            : g_strdup_printf(_("Hearth %s"), process);
    gtk_label_set_text(GTK_LABEL(strip->dram_parts), parts);
}

static void show_context(HearthGaugeStrip *strip)
{
    int used = 0, size = 0;
    g_object_get(hearth_app_get_worker(strip->app), "context-used", &used, "context-size", &size,
                 NULL);
    g_autofree char *text =
        size ? hearth_amount_count_of(used, size) : g_strdup(C_("context", "not in use"));
    set_bar(strip->context, strip->context_text, used, size, text);
}

static void show_speed(HearthGaugeStrip *strip)
{
    double rates[RATES], rate = 0;
    size_t n = hearth_telemetry_get_rates(hearth_app_get_telemetry(strip->app), rates,
                                          G_N_ELEMENTS(rates));
    g_object_get(hearth_app_get_worker(strip->app), "rate", &rate, NULL);
    g_autofree char *text = hearth_amount_rate(rate);
    gtk_label_set_text(GTK_LABEL(strip->speed), text);
    /* The text of a label becomes its name each time. */
    gtk_accessible_update_property(GTK_ACCESSIBLE(strip->speed), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   C_("gauge", "Speed"), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, text,
                                   -1);
    hearth_graph_set_values(HEARTH_GRAPH(strip->sparkline), rates, n,
                            hearth_graph_round_max(rates, n, 1));
    hearth_graph_describe(HEARTH_GRAPH(strip->sparkline), _("Speed of the Last Answers"), text);
}

/* ---- the model's state ----------------------------------------------------------------------- */

static char *state_text(HearthWorker *worker, const char **ret_class)
{
    gboolean busy = FALSE;
    guint64 loaded = 0, total = 0;
    g_object_get(worker, "busy", &busy, "loaded", &loaded, "total", &total, NULL);
    switch (hearth_worker_get_state(worker)) {
    case HEARTH_MODEL_LOADING:
        *ret_class = "accent";
        if (!total) return g_strdup(_("Loading the model"));
        return g_strdup_printf(_("Loading the model: %d %%"),
                               (int)(100.0 * (double)loaded / (double)total));
    case HEARTH_MODEL_READY:
        *ret_class = busy ? "accent" : "success";
        return g_strdup(busy ? _("Answering") : _("Model ready"));
    case HEARTH_MODEL_FAILED:
        *ret_class = "error";
        return g_strdup(_("The model could not be loaded"));
    case HEARTH_MODEL_NONE: break;
    }
    *ret_class = "none";
    return g_strdup(_("No model loaded"));
}

static void show_state(HearthGaugeStrip *strip)
{
    const char *class = NULL;
    g_autofree char *text = state_text(hearth_app_get_worker(strip->app), &class);
    const char *classes[] = {"state-dot", class, NULL};
    gtk_widget_set_css_classes(strip->dot, classes);
    gtk_label_set_text(GTK_LABEL(strip->state), text);
}

/* Five times a second while an answer is written; memory is news once a second. */
static void update(HearthGaugeStrip *strip)
{
    HearthTelemetry *telemetry = hearth_app_get_telemetry(strip->app);
    HearthSample sample = hearth_telemetry_get_sample(telemetry);
    const HearthHost *host = hearth_telemetry_get_host(telemetry);
    if (!sample.time || sample.time != strip->sampled || host != strip->host)
        show_memory(strip, &sample, host);
    strip->sampled = sample.time;
    strip->host = host;
    show_context(strip);
    show_speed(strip);
}

/* ---- where everything is --------------------------------------------------------------------- */

typedef struct {
    int column, row, span; /* span 0: left out */
} Cell;

/* By HearthGaugeForm. */
static const struct {
    size_t widget;
    Cell cells[3];
} places[] = {
#define AT(name) offsetof(HearthGaugeStrip, name)
    {AT(state_box), {{0, 0, 3}, {0, 0, 0}, {0, 0, 0}}},
    {AT(vram_name), {{0, 1, 1}, {0, 0, 1}, {0, 0, 1}}},
    {AT(vram), {{1, 1, 1}, {1, 0, 1}, {1, 0, 1}}},
    {AT(vram_text), {{2, 1, 1}, {2, 0, 1}, {2, 0, 1}}},
    {AT(no_gpu), {{1, 1, 2}, {1, 0, 2}, {1, 0, 2}}},
    {AT(dram_name), {{0, 2, 1}, {3, 0, 1}, {3, 0, 1}}},
    {AT(dram), {{1, 2, 1}, {4, 0, 1}, {4, 0, 1}}},
    {AT(dram_text), {{2, 2, 1}, {5, 0, 1}, {5, 0, 1}}},
    {AT(dram_parts), {{0, 3, 3}, {0, 0, 0}, {0, 0, 0}}},
    {AT(context_name), {{0, 4, 1}, {6, 0, 1}, {0, 1, 1}}},
    {AT(context), {{1, 4, 1}, {7, 0, 1}, {1, 1, 1}}},
    {AT(context_text), {{2, 4, 1}, {8, 0, 1}, {2, 1, 1}}},
    {AT(speed_box), {{0, 5, 3}, {9, 0, 1}, {3, 1, 3}}},
#undef AT
};

void hearth_gauge_strip_set_form(HearthGaugeStrip *strip, HearthGaugeForm form)
{
    GtkLayoutManager *layout = gtk_widget_get_layout_manager(strip->grid);
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        GtkWidget *widget = G_STRUCT_MEMBER(GtkWidget *, strip, places[i].widget);
        const Cell *cell = &places[i].cells[form];
        /* Others show and hide for reasons of their own, in every form. */
        if (!places[i].cells[HEARTH_GAUGES_LINE].span) gtk_widget_set_visible(widget, cell->span);
        gtk_widget_set_margin_start(widget, cell->column && cell->column % 3 == 0 ? 12 : 0);
        g_object_set(gtk_layout_manager_get_layout_child(layout, widget), "column", cell->column,
                     "row", cell->row, "column-span", MAX(cell->span, 1), NULL);
    }
    gtk_widget_set_hexpand(GTK_WIDGET(strip), form != HEARTH_GAUGES_COLUMN);
}

static void on_clicked(HearthGaugeStrip *strip)
{
    gtk_widget_activate_action(GTK_WIDGET(strip), "win.hardware", NULL);
}

/* GObject */

static void hearth_gauge_strip_dispose(GObject *object)
{
    HearthGaugeStrip *strip = HEARTH_GAUGE_STRIP(object);
    g_clear_object(&strip->app);
    G_OBJECT_CLASS(hearth_gauge_strip_parent_class)->dispose(object);
}

static void hearth_gauge_strip_class_init(HearthGaugeStripClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_gauge_strip_dispose;
    gtk_widget_class_set_template_from_resource(
        widget, "/io/github/hearth_ai/Hearth/hardware/gauge_strip.ui");
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, grid);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, state_box);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, vram_name);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, dram_name);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, context_name);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, dot);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, state);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, vram);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, vram_text);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, no_gpu);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, dram);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, dram_text);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, dram_parts);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, context);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, context_text);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, speed_box);
    gtk_widget_class_bind_template_child(widget, HearthGaugeStrip, speed);
    gtk_widget_class_bind_template_callback(widget, on_clicked);
}

static void hearth_gauge_strip_init(HearthGaugeStrip *strip)
{
    gtk_widget_init_template(GTK_WIDGET(strip));
    prepare_bar(strip->vram);
    prepare_bar(strip->dram);
    prepare_bar(strip->context);
    strip->sparkline = hearth_graph_new(RATES, false);
    gtk_widget_set_hexpand(strip->sparkline, TRUE);
    gtk_widget_set_size_request(strip->sparkline, 40, 18);
    gtk_box_append(GTK_BOX(strip->speed_box), strip->sparkline);
    hearth_gauge_strip_set_form(strip, HEARTH_GAUGES_COLUMN); /* the bars expand, it does not */
}

GtkWidget *hearth_gauge_strip_new(HearthApp *app)
{
    HearthGaugeStrip *strip = g_object_new(HEARTH_TYPE_GAUGE_STRIP, NULL);
    strip->app = g_object_ref(app);
    HearthWorker *worker = hearth_app_get_worker(app);
    static const char *const changes[] = {"notify::state", "notify::busy", "notify::loaded"};
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
        g_signal_connect_object(worker, changes[i], G_CALLBACK(show_state), strip,
                                G_CONNECT_SWAPPED);
    show_state(strip);
    update(strip);
    hearth_watch_while_seen(GTK_WIDGET(strip), hearth_app_get_telemetry(app), G_CALLBACK(update));
    return GTK_WIDGET(strip);
}
