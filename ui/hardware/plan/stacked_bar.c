#include "hardware/plan/stacked_bar.h"

#include <math.h>

struct _HearthStackedBar {
    GtkWidget parent;
    double *shares; /* one per child, 0 … 1 */
    size_t n;
};

G_DEFINE_FINAL_TYPE(HearthStackedBar, hearth_stacked_bar, GTK_TYPE_WIDGET)

static void hearth_stacked_bar_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                       int *ret_least, int *ret_natural, int *ret_least_baseline,
                                       int *ret_natural_baseline)
{
    (void)widget, (void)for_size;
    *ret_least = *ret_natural = orientation == GTK_ORIENTATION_VERTICAL ? 16 : 48;
    *ret_least_baseline = *ret_natural_baseline = -1;
}

static void hearth_stacked_bar_size_allocate(GtkWidget *widget, int width, int height, int baseline)
{
    HearthStackedBar *bar = HEARTH_STACKED_BAR(widget);
    bool rtl = gtk_widget_get_direction(widget) == GTK_TEXT_DIR_RTL;
    double begin = 0;
    GtkWidget *child = gtk_widget_get_first_child(widget);
    for (size_t i = 0; child; i++, child = gtk_widget_get_next_sibling(child)) {
        double end = begin + bar->shares[i];
        int from = (int)lround(begin * width), to = (int)lround(end * width);
        /* What exists is seen, however small. */
        if (bar->shares[i] > 0 && to <= from) to = MIN(from + 1, width);
        gtk_widget_set_child_visible(child, to > from);
        if (to > from) {
            GtkAllocation box = {rtl ? width - to : from, 0, to - from, height};
            /* GTK warns of a child that is given a size without having been asked for its own. */
            gtk_widget_measure(child, GTK_ORIENTATION_HORIZONTAL, -1, NULL, NULL, NULL, NULL);
            gtk_widget_size_allocate(child, &box, baseline);
        }
        begin = end;
    }
}

/* GObject */

static void hearth_stacked_bar_dispose(GObject *object)
{
    GtkWidget *child;
    while ((child = gtk_widget_get_first_child(GTK_WIDGET(object)))) gtk_widget_unparent(child);
    G_OBJECT_CLASS(hearth_stacked_bar_parent_class)->dispose(object);
}

static void hearth_stacked_bar_finalize(GObject *object)
{
    g_free(HEARTH_STACKED_BAR(object)->shares);
    G_OBJECT_CLASS(hearth_stacked_bar_parent_class)->finalize(object);
}

static void hearth_stacked_bar_class_init(HearthStackedBarClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_stacked_bar_dispose;
    G_OBJECT_CLASS(class)->finalize = hearth_stacked_bar_finalize;
    widget->measure = hearth_stacked_bar_measure;
    widget->size_allocate = hearth_stacked_bar_size_allocate;
    gtk_widget_class_set_css_name(widget, "stackedbar");
    gtk_widget_class_set_accessible_role(widget, GTK_ACCESSIBLE_ROLE_IMG);
}

static void hearth_stacked_bar_init(HearthStackedBar *bar)
{
    gtk_widget_set_overflow(GTK_WIDGET(bar), GTK_OVERFLOW_HIDDEN);
}

GtkWidget *hearth_stacked_bar_new(const char *const *classes, size_t n)
{
    HearthStackedBar *bar = g_object_new(HEARTH_TYPE_STACKED_BAR, NULL);
    bar->shares = g_new0(double, n);
    bar->n = n;
    for (size_t i = 0; i < n; i++) {
        GtkWidget *segment = g_object_new(GTK_TYPE_BOX, "css-name", "segment", "accessible-role",
                                          GTK_ACCESSIBLE_ROLE_PRESENTATION, NULL);
        gtk_widget_add_css_class(segment, classes[i]);
        gtk_widget_set_parent(segment, GTK_WIDGET(bar));
    }
    return GTK_WIDGET(bar);
}

void hearth_stacked_bar_set(HearthStackedBar *bar, const double *values, size_t n, double whole)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    whole = fmax(whole, sum);
    for (size_t i = 0; i < bar->n && i < n; i++) bar->shares[i] = whole > 0 ? values[i] / whole : 0;
    gtk_widget_queue_allocate(GTK_WIDGET(bar));
}
