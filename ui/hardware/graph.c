#include "hardware/graph.h"

#include <math.h>

#include "compat.h"

struct _HearthGraph {
    GtkWidget parent;
    double *values;
    size_t n, capacity;
    double max;
    bool axes;
};

G_DEFINE_FINAL_TYPE(HearthGraph, hearth_graph, GTK_TYPE_WIDGET)

static void set_source(cairo_t *cr, const GdkRGBA *color, double alpha)
{
    cairo_set_source_rgba(cr, color->red, color->green, color->blue, color->alpha * alpha);
}

static void draw_grid(HearthGraph *graph, cairo_t *cr, const GdkRGBA *color, double w, double h)
{
    cairo_set_line_width(cr, 1);
    set_source(cr, color, 0.15);
    for (int i = 1; graph->axes && i < 4; i++) {
        double y = floor(h * i / 4) + 0.5;
        cairo_move_to(cr, 0, y);
        cairo_line_to(cr, w, y);
        cairo_stroke(cr);
    }
}

/* The line alone. Values grow towards the end side; with few of them the start stays empty. */
static void trace(HearthGraph *graph, cairo_t *cr, double w, double h, bool rtl)
{
    double step = w / (double)(graph->capacity - 1);
    for (size_t i = 0; i < graph->n; i++) {
        double x = w - step * (double)(graph->n - 1 - i);
        double part = CLAMP(graph->values[i] / graph->max, 0, 1);
        cairo_line_to(cr, rtl ? w - x : x, h - 1 - part * (h - 2));
    }
}

static void hearth_graph_snapshot(GtkWidget *widget, GtkSnapshot *snapshot)
{
    HearthGraph *graph = HEARTH_GRAPH(widget);
    int w = gtk_widget_get_width(widget), h = gtk_widget_get_height(widget);
    if (w < 2 || h < 2) return;
    GdkRGBA color = hearth_compat_get_color(widget);
    bool rtl = gtk_widget_get_direction(widget) == GTK_TEXT_DIR_RTL;
    graphene_rect_t bounds = GRAPHENE_RECT_INIT(0, 0, (float)w, (float)h);
    cairo_t *cr = gtk_snapshot_append_cairo(snapshot, &bounds);
    draw_grid(graph, cr, &color, w, h);
    if (graph->n > 1) {
        double first =
            (double)w * (double)(graph->capacity - graph->n) / (double)(graph->capacity - 1);
        trace(graph, cr, w, h, rtl);
        cairo_line_to(cr, rtl ? 0 : w, h);
        cairo_line_to(cr, rtl ? w - first : first, h);
        cairo_close_path(cr);
        set_source(cr, &color, 0.25);
        cairo_fill(cr);
        trace(graph, cr, w, h, rtl);
        cairo_set_line_width(cr, 1.5);
        cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
        set_source(cr, &color, 1);
        cairo_stroke(cr);
    }
    cairo_destroy(cr);
}

/* GObject */

static void hearth_graph_finalize(GObject *object)
{
    g_free(HEARTH_GRAPH(object)->values);
    G_OBJECT_CLASS(hearth_graph_parent_class)->finalize(object);
}

static void hearth_graph_class_init(HearthGraphClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->finalize = hearth_graph_finalize;
    widget->snapshot = hearth_graph_snapshot;
    gtk_widget_class_set_css_name(widget, "hearthgraph");
    gtk_widget_class_set_accessible_role(widget, GTK_ACCESSIBLE_ROLE_IMG);
}

static void hearth_graph_init(HearthGraph *graph)
{
    gtk_widget_set_overflow(GTK_WIDGET(graph), GTK_OVERFLOW_HIDDEN);
}

GtkWidget *hearth_graph_new(size_t capacity, bool axes)
{
    HearthGraph *graph = g_object_new(HEARTH_TYPE_GRAPH, NULL);
    graph->capacity = MAX(capacity, 2);
    graph->values = g_new0(double, graph->capacity);
    graph->max = 1;
    graph->axes = axes;
    return GTK_WIDGET(graph);
}

void hearth_graph_set_values(HearthGraph *graph, const double *values, size_t n, double max)
{
    size_t skip = n > graph->capacity ? n - graph->capacity : 0;
    graph->n = n - skip;
    for (size_t i = 0; i < graph->n; i++) graph->values[i] = values[skip + i];
    graph->max = max > 0 ? max : 1;
    gtk_widget_queue_draw(GTK_WIDGET(graph));
}

void hearth_graph_describe(HearthGraph *graph, const char *name, const char *text)
{
    gtk_accessible_update_property(GTK_ACCESSIBLE(graph), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                   GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, text, -1);
}

double hearth_graph_round_max(const double *values, size_t n, double least)
{
    double max = least;
    for (size_t i = 0; i < n; i++) max = fmax(max, values[i]);
    double power = pow(10, floor(log10(max)));
    static const double steps[] = {1, 2, 5};
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++)
        if (max <= power * steps[i] * (1 + 1e-9)) return power * steps[i];
    return power * 10;
}
