#include "stack.h"

#include <stdbool.h>

typedef struct {
    int from, to; /* what is drawn; equal: all */
} HearthMarkdownStackPrivate;

G_DEFINE_TYPE_WITH_PRIVATE(HearthMarkdownStack, hearth_markdown_stack, GTK_TYPE_WIDGET)

static HearthMarkdownStackPrivate *shown_of(gpointer self)
{
    return hearth_markdown_stack_get_instance_private(self);
}

/* ---- layout -------------------------------------------------------------------------------- */

static GtkSizeRequestMode hearth_markdown_stack_get_request_mode(GtkWidget *widget)
{
    (void)widget;
    return GTK_SIZE_REQUEST_HEIGHT_FOR_WIDTH;
}

static void hearth_markdown_stack_measure(GtkWidget *widget, GtkOrientation orientation,
                                          int for_size, int *minimum, int *natural,
                                          int *minimum_baseline, int *natural_baseline)
{
    bool across = orientation == GTK_ORIENTATION_HORIZONTAL;
    *minimum = *natural = 0;
    *minimum_baseline = *natural_baseline = -1;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        int min, nat;
        gtk_widget_measure(child, orientation, across ? -1 : for_size, &min, &nat, NULL, NULL);
        *minimum = across ? MAX(*minimum, min) : *minimum + min;
        *natural = across ? MAX(*natural, nat) : *natural + nat;
    }
}

/* The part of what is shown that falls on a page. One that is shown whole is told so, whatever its
 * height: it need not be drawn anew when that changes. */
static void show_page(HearthMarkdownStack *self, GtkWidget *child, int y, int height)
{
    HearthMarkdownStackPrivate *shown = shown_of(self);
    if (!HEARTH_IS_MARKDOWN_STACK(child)) return;
    int from = MAX(shown->from - y, 0), to = MIN(shown->to - y, height);
    bool whole = shown->from >= shown->to || (from == 0 && to == height);
    if (whole || from < to)
        hearth_markdown_stack_set_shown(HEARTH_MARKDOWN_STACK(child), whole ? 0 : from,
                                        whole ? 0 : to);
}

static void hearth_markdown_stack_size_allocate(GtkWidget *widget, int width, int height,
                                                int baseline)
{
    int y = 0;
    (void)height;
    (void)baseline;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        int min, nat;
        gtk_widget_measure(child, GTK_ORIENTATION_VERTICAL, width, &min, &nat, NULL, NULL);
        gtk_widget_size_allocate(child, &(GtkAllocation){0, y, width, nat}, -1);
        show_page(HEARTH_MARKDOWN_STACK(widget), child, y, nat);
        y += nat;
    }
}

/* ---- drawing ------------------------------------------------------------------------------- */

static void hearth_markdown_stack_snapshot(GtkWidget *widget, GtkSnapshot *snapshot)
{
    HearthMarkdownStackPrivate *shown = shown_of(widget);
    bool all = shown->from >= shown->to;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        graphene_rect_t at;
        if (all || !gtk_widget_compute_bounds(child, widget, &at) ||
            (at.origin.y < shown->to && at.origin.y + at.size.height > shown->from))
            gtk_widget_snapshot_child(widget, child, snapshot);
    }
}

void hearth_markdown_stack_set_shown(HearthMarkdownStack *self, int from, int to)
{
    HearthMarkdownStackPrivate *shown = shown_of(self);
    if (shown->from == from && shown->to == to) return;
    *shown = (HearthMarkdownStackPrivate){from, to};
    for (GtkWidget *child = gtk_widget_get_first_child(GTK_WIDGET(self)); child;
         child = gtk_widget_get_next_sibling(child)) {
        graphene_rect_t at;
        if (HEARTH_IS_MARKDOWN_STACK(child) &&
            gtk_widget_compute_bounds(child, GTK_WIDGET(self), &at))
            show_page(self, child, (int)at.origin.y, (int)at.size.height);
    }
    gtk_widget_queue_draw(GTK_WIDGET(self));
}

/* ---- GObject ------------------------------------------------------------------------------- */

static void hearth_markdown_stack_dispose(GObject *object)
{
    GtkWidget *child;
    while ((child = gtk_widget_get_first_child(GTK_WIDGET(object)))) gtk_widget_unparent(child);
    G_OBJECT_CLASS(hearth_markdown_stack_parent_class)->dispose(object);
}

static void hearth_markdown_stack_class_init(HearthMarkdownStackClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_markdown_stack_dispose;
    widget_class->snapshot = hearth_markdown_stack_snapshot;
    widget_class->get_request_mode = hearth_markdown_stack_get_request_mode;
    widget_class->measure = hearth_markdown_stack_measure;
    widget_class->size_allocate = hearth_markdown_stack_size_allocate;
    gtk_widget_class_set_css_name(widget_class, "page");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
}

static void hearth_markdown_stack_init(HearthMarkdownStack *self) { (void)self; }

GtkWidget *hearth_markdown_stack_new(void)
{
    return g_object_new(HEARTH_TYPE_MARKDOWN_STACK, NULL);
}
