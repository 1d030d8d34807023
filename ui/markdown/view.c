#include "view.h"

#include "build.h"
#include "model/doc.h"

#define FIRST_SLICE 8 /* milliseconds: what is seen at once */
#define SLICE 4

struct _HearthMarkdownView {
    GtkWidget parent;
    HearthMarkdownDoc doc;
    int shown_from, shown_to;
    guint built;  /* blocks that have their widgets */
    guint source; /* makes the others, when nothing else is to be done */
};

G_DEFINE_FINAL_TYPE(HearthMarkdownView, hearth_markdown_view, GTK_TYPE_WIDGET)

/* ---- layout -----------------------------------------------------------------------------------
 * One block below the other, each as wide as the view. GtkBoxLayout would do it, at several times
 * the cost for each block that did not change: in a long answer that was most of a frame. */

static GtkSizeRequestMode hearth_markdown_view_get_request_mode(GtkWidget *widget)
{
    (void)widget;
    return GTK_SIZE_REQUEST_HEIGHT_FOR_WIDTH;
}

static void hearth_markdown_view_measure(GtkWidget *widget, GtkOrientation orientation,
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

static void hearth_markdown_view_size_allocate(GtkWidget *widget, int width, int height,
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
        y += nat;
    }
}

/* ---- drawing -------------------------------------------------------------------------------- */

static void hearth_markdown_view_snapshot(GtkWidget *widget, GtkSnapshot *snapshot)
{
    HearthMarkdownView *self = HEARTH_MARKDOWN_VIEW(widget);
    bool all = self->shown_from >= self->shown_to;
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child)) {
        graphene_rect_t at;
        if (all || !gtk_widget_compute_bounds(child, widget, &at) ||
            (at.origin.y < self->shown_to && at.origin.y + at.size.height > self->shown_from))
            gtk_widget_snapshot_child(widget, child, snapshot);
    }
}

static void hearth_markdown_view_dispose(GObject *object)
{
    GtkWidget *child;
    g_clear_handle_id(&HEARTH_MARKDOWN_VIEW(object)->source, g_source_remove);
    while ((child = gtk_widget_get_first_child(GTK_WIDGET(object)))) gtk_widget_unparent(child);
    G_OBJECT_CLASS(hearth_markdown_view_parent_class)->dispose(object);
}

static void hearth_markdown_view_finalize(GObject *object)
{
    hearth_markdown_doc_clear(&HEARTH_MARKDOWN_VIEW(object)->doc);
    G_OBJECT_CLASS(hearth_markdown_view_parent_class)->finalize(object);
}

static void hearth_markdown_view_class_init(HearthMarkdownViewClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_markdown_view_dispose;
    G_OBJECT_CLASS(class)->finalize = hearth_markdown_view_finalize;
    widget_class->snapshot = hearth_markdown_view_snapshot;
    widget_class->get_request_mode = hearth_markdown_view_get_request_mode;
    widget_class->measure = hearth_markdown_view_measure;
    widget_class->size_allocate = hearth_markdown_view_size_allocate;
    gtk_widget_class_set_css_name(widget_class, "markdown");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
}

static void hearth_markdown_view_init(HearthMarkdownView *self)
{
    hearth_markdown_doc_init(&self->doc);
}

GtkWidget *hearth_markdown_view_new(void) { return g_object_new(HEARTH_TYPE_MARKDOWN_VIEW, NULL); }

static gboolean hearth_markdown_view_build(gpointer data)
{
    HearthMarkdownView *self = data;
    self->built =
        hearth_markdown_build_children(GTK_WIDGET(self), self->doc.blocks, self->built, SLICE);
    if (self->built < self->doc.blocks->len) return G_SOURCE_CONTINUE;
    self->source = 0;
    return G_SOURCE_REMOVE;
}

void hearth_markdown_view_set_text(HearthMarkdownView *self, const char *text, size_t len,
                                   bool complete)
{
    guint same = hearth_markdown_doc_set_text(&self->doc, text, len, complete);
    if (same < self->built || !self->doc.blocks->len) self->built = same;
    if (self->source) return; /* it will come to that */
    self->built = hearth_markdown_build_children(GTK_WIDGET(self), self->doc.blocks, self->built,
                                                 FIRST_SLICE);
    if (self->built < self->doc.blocks->len)
        self->source = g_idle_add(hearth_markdown_view_build, self);
}

void hearth_markdown_view_set_shown(HearthMarkdownView *self, int from, int to)
{
    if (self->shown_from == from && self->shown_to == to) return;
    self->shown_from = from;
    self->shown_to = to;
    gtk_widget_queue_draw(GTK_WIDGET(self));
}
