#include "flow.h"

#define SPACING 8
#define LINE_SPACING 6

struct _HearthChatFlow {
    GtkLayoutManager parent_instance;
    GtkAlign align;
};

G_DEFINE_TYPE(HearthChatFlow, hearth_chat_flow, GTK_TYPE_LAYOUT_MANAGER)

static GtkWidget *first_shown(GtkWidget *child)
{
    while (child && !gtk_widget_should_layout(child)) child = gtk_widget_get_next_sibling(child);
    return child;
}

static GtkWidget *next_shown(GtkWidget *child)
{
    return first_shown(gtk_widget_get_next_sibling(child));
}

static int width_of(GtkWidget *child, int room)
{
    int least, natural;
    gtk_widget_measure(child, GTK_ORIENTATION_HORIZONTAL, -1, &least, &natural, NULL, NULL);
    return MAX(least, MIN(natural, room));
}

static int height_of(GtkWidget *child, int width)
{
    int natural;
    gtk_widget_measure(child, GTK_ORIENTATION_VERTICAL, width, NULL, &natural, NULL, NULL);
    return natural;
}

/* The line that begins with `from`: its size, and the child after it. */
static GtkWidget *measure_line(GtkWidget *from, int room, int *ret_width, int *ret_height)
{
    *ret_width = *ret_height = 0;
    for (GtkWidget *child = from; child; child = next_shown(child)) {
        int width = width_of(child, room);
        if (child != from && *ret_width + SPACING + width > room) return child;
        *ret_width += (child == from ? 0 : SPACING) + width;
        *ret_height = MAX(*ret_height, height_of(child, width));
    }
    return NULL;
}

static GtkSizeRequestMode request_mode(GtkLayoutManager *manager G_GNUC_UNUSED,
                                       GtkWidget *widget G_GNUC_UNUSED)
{
    return GTK_SIZE_REQUEST_HEIGHT_FOR_WIDTH;
}

static void measure_width(GtkWidget *widget, int *ret_min, int *ret_natural)
{
    for (GtkWidget *child = first_shown(gtk_widget_get_first_child(widget)); child;
         child = next_shown(child)) {
        int least, natural;
        gtk_widget_measure(child, GTK_ORIENTATION_HORIZONTAL, -1, &least, &natural, NULL, NULL);
        *ret_min = MAX(*ret_min, least);
        *ret_natural += natural + (*ret_natural ? SPACING : 0);
    }
}

static void measure(GtkLayoutManager *manager G_GNUC_UNUSED, GtkWidget *widget,
                    GtkOrientation orientation, int for_size, int *ret_min, int *ret_natural,
                    int *ret_min_baseline, int *ret_natural_baseline)
{
    *ret_min = *ret_natural = 0;
    *ret_min_baseline = *ret_natural_baseline = -1;
    if (orientation == GTK_ORIENTATION_HORIZONTAL) {
        measure_width(widget, ret_min, ret_natural);
        return;
    }
    int room = for_size < 0 ? G_MAXINT16 : for_size;
    for (GtkWidget *line = first_shown(gtk_widget_get_first_child(widget)); line;) {
        int width, height;
        line = measure_line(line, room, &width, &height);
        *ret_natural += height + (*ret_natural ? LINE_SPACING : 0);
    }
    *ret_min = *ret_natural;
}

static void allocate(GtkLayoutManager *manager, GtkWidget *widget, int room,
                     int height G_GNUC_UNUSED, int baseline G_GNUC_UNUSED)
{
    GtkAlign align = HEARTH_CHAT_FLOW(manager)->align;
    bool mirrored = gtk_widget_get_direction(widget) == GTK_TEXT_DIR_RTL;
    int y = 0;
    for (GtkWidget *line = first_shown(gtk_widget_get_first_child(widget)); line;) {
        int line_width, line_height;
        GtkWidget *next = measure_line(line, room, &line_width, &line_height);
        int spare = MAX(0, room - line_width);
        int x = align == GTK_ALIGN_CENTER ? spare / 2 : align == GTK_ALIGN_END ? spare : 0;
        for (GtkWidget *child = line; child != next; child = next_shown(child)) {
            int width = width_of(child, room), at = mirrored ? room - x - width : x;
            gtk_widget_size_allocate(child, &(GtkAllocation){at, y, width, line_height}, -1);
            x += width + SPACING;
        }
        y += line_height + LINE_SPACING;
        line = next;
    }
}

static void hearth_chat_flow_class_init(HearthChatFlowClass *klass)
{
    GtkLayoutManagerClass *layout_class = GTK_LAYOUT_MANAGER_CLASS(klass);
    layout_class->get_request_mode = request_mode;
    layout_class->measure = measure;
    layout_class->allocate = allocate;
}

static void hearth_chat_flow_init(HearthChatFlow *self) { self->align = GTK_ALIGN_START; }

void hearth_chat_flow_set_align(HearthChatFlow *flow, GtkAlign align)
{
    flow->align = align;
    gtk_layout_manager_layout_changed(GTK_LAYOUT_MANAGER(flow));
}
