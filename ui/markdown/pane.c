#include "pane.h"

struct _HearthMarkdownPane {
    GtkWidget parent;
    GtkWidget *scroller, *child;
};

G_DEFINE_FINAL_TYPE(HearthMarkdownPane, hearth_markdown_pane, GTK_TYPE_WIDGET)

static void hearth_markdown_pane_dispose(GObject *object)
{
    HearthMarkdownPane *self = HEARTH_MARKDOWN_PANE(object);
    g_clear_pointer(&self->scroller, gtk_widget_unparent);
    G_OBJECT_CLASS(hearth_markdown_pane_parent_class)->dispose(object);
}

static GtkSizeRequestMode hearth_markdown_pane_get_request_mode(GtkWidget *widget)
{
    (void)widget;
    return GTK_SIZE_REQUEST_HEIGHT_FOR_WIDTH;
}

static void hearth_markdown_pane_measure(GtkWidget *widget, GtkOrientation orientation,
                                         int for_size, int *minimum, int *natural,
                                         int *minimum_baseline, int *natural_baseline)
{
    HearthMarkdownPane *self = HEARTH_MARKDOWN_PANE(widget);
    int min, nat;
    *minimum_baseline = *natural_baseline = -1;
    gtk_widget_measure(self->child, GTK_ORIENTATION_HORIZONTAL, -1, &min, &nat, NULL, NULL);
    if (orientation == GTK_ORIENTATION_HORIZONTAL) {
        *minimum = MIN(min, 48);
        *natural = nat;
        return;
    }
    if (for_size < 0) for_size = nat;
    gtk_widget_measure(self->child, orientation, MAX(for_size, min), minimum, natural, NULL, NULL);
    *natural = *minimum;
    /* The scroller asks for something itself; allocating less would be an error. */
    gtk_widget_measure(self->scroller, orientation, for_size, &min, NULL, NULL, NULL);
    *minimum = *natural = MAX(*minimum, min);
}

static void hearth_markdown_pane_size_allocate(GtkWidget *widget, int width, int height,
                                               int baseline)
{
    gtk_widget_allocate(HEARTH_MARKDOWN_PANE(widget)->scroller, width, height, baseline, NULL);
}

static void hearth_markdown_pane_class_init(HearthMarkdownPaneClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_markdown_pane_dispose;
    widget_class->get_request_mode = hearth_markdown_pane_get_request_mode;
    widget_class->measure = hearth_markdown_pane_measure;
    widget_class->size_allocate = hearth_markdown_pane_size_allocate;
    gtk_widget_class_set_css_name(widget_class, "markdownpane");
}

static void hearth_markdown_pane_init(HearthMarkdownPane *self)
{
    gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
}

GtkWidget *hearth_markdown_pane_new(GtkWidget *child)
{
    HearthMarkdownPane *self = g_object_new(HEARTH_TYPE_MARKDOWN_PANE, NULL);
    self->child = child;
    self->scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(self->scroller), GTK_POLICY_AUTOMATIC,
                                   GTK_POLICY_EXTERNAL);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(self->scroller), child);
    gtk_widget_set_parent(self->scroller, GTK_WIDGET(self));
    return GTK_WIDGET(self);
}

GtkWidget *hearth_markdown_pane_get_child(HearthMarkdownPane *self) { return self->child; }
