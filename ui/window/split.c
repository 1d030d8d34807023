#include "split.h"

#include <glib/gi18n-lib.h>

#define NARROW 720   /* px: below it the sidebar is over the content */
#define LINE 6       /* px that can be grabbed */
#define LEAST 220    /* px of sidebar */
#define MOST 480     /* px of sidebar */
#define KEY_STEP 16  /* px that an arrow key moves the line */
#define DURATION 200 /* ms that the sidebar slides */

struct _HearthSplit {
    GtkWidget parent_instance;
    GtkWidget *sidebar, *content, *line, *shade; /* shade: over the content, beside the sidebar */
    GtkWidget *home;
    bool narrow, beside, over; /* beside, over: whether it is shown in a wide, a narrow window */
    int width;                 /* of the sidebar beside the content, as wished */
    double shown;              /* 0 … 1: how far the sidebar has slid in */
    AdwAnimation *slide;
    int drag_from;
    guint idle; /* tells of a new `narrow` after the layout */
};

G_DEFINE_FINAL_TYPE(HearthSplit, hearth_split, GTK_TYPE_WIDGET)

enum {
    PROP_SIDEBAR = 1,
    PROP_CONTENT,
    PROP_SHOW_SIDEBAR,
    PROP_SIDEBAR_WIDTH,
    PROP_NARROW,
    N_PROPS
};
static GParamSpec *props[N_PROPS];

/* ---- what is shown --------------------------------------------------------------------------- */

bool hearth_split_get_narrow(HearthSplit *self) { return self->narrow; }

bool hearth_split_get_show_sidebar(HearthSplit *self)
{
    return self->narrow ? self->over : self->beside;
}

static void slide_to(HearthSplit *self, double to)
{
    adw_animation_pause(self->slide);
    if (!self->narrow || !gtk_widget_get_mapped(GTK_WIDGET(self))) {
        self->shown = to;
        gtk_widget_queue_allocate(GTK_WIDGET(self));
        return;
    }
    adw_timed_animation_set_value_from(ADW_TIMED_ANIMATION(self->slide), self->shown);
    adw_timed_animation_set_value_to(ADW_TIMED_ANIMATION(self->slide), to);
    adw_animation_play(self->slide);
}

static void on_slide(double value, gpointer data)
{
    HearthSplit *self = data;
    self->shown = value;
    gtk_widget_queue_allocate(GTK_WIDGET(self));
}

/* What lies under the sidebar can be neither clicked nor reached with the Tab key. */
static void cover_content(HearthSplit *self)
{
    bool covered = self->narrow && self->over;
    if (self->content) {
        gtk_widget_set_can_target(self->content, !covered);
        gtk_widget_set_can_focus(self->content, !covered);
    }
    if (self->sidebar) gtk_widget_set_can_focus(self->sidebar, hearth_split_get_show_sidebar(self));
}

static bool has_focus(HearthSplit *self, GtkWidget *child)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(self));
    GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
    return focus && child && gtk_widget_is_ancestor(focus, child);
}

void hearth_split_set_home(HearthSplit *self, GtkWidget *home)
{
    g_set_weak_pointer(&self->home, home);
}

void hearth_split_set_show_sidebar(HearthSplit *self, bool show)
{
    if (hearth_split_get_show_sidebar(self) == show) return;
    if (self->narrow)
        self->over = show;
    else
        self->beside = show;
    bool homeless = !show && has_focus(self, self->sidebar);
    cover_content(self);
    if (homeless && self->home) gtk_widget_grab_focus(self->home);
    slide_to(self, show);
    if (self->narrow && show && self->sidebar)
        gtk_widget_child_focus(self->sidebar, GTK_DIR_TAB_FORWARD);
    g_object_notify_by_pspec(G_OBJECT(self), props[PROP_SHOW_SIDEBAR]);
}

static gboolean on_idle(gpointer data)
{
    HearthSplit *self = data;
    self->idle = 0;
    cover_content(self);
    g_object_notify_by_pspec(G_OBJECT(self), props[PROP_NARROW]);
    g_object_notify_by_pspec(G_OBJECT(self), props[PROP_SHOW_SIDEBAR]);
    return G_SOURCE_REMOVE;
}

static void set_width(HearthSplit *self, int width)
{
    width = CLAMP(width, LEAST, MOST);
    if (width == self->width) return;
    self->width = width;
    gtk_widget_queue_allocate(GTK_WIDGET(self));
    g_object_notify_by_pspec(G_OBJECT(self), props[PROP_SIDEBAR_WIDTH]);
}

/* ---- layout ---------------------------------------------------------------------------------- */

static int least_width(GtkWidget *widget)
{
    int least;
    gtk_widget_measure(widget, GTK_ORIENTATION_HORIZONTAL, -1, &least, NULL, NULL, NULL);
    return least;
}

static void hearth_split_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                 int *least, int *natural, int *least_baseline,
                                 int *natural_baseline)
{
    HearthSplit *self = HEARTH_SPLIT(widget);
    int least_side, natural_side, least_content, natural_content;
    (void)for_size; /* each child gets a part of it that only the layout knows */
    gtk_widget_measure(self->sidebar, orientation, -1, &least_side, &natural_side, NULL, NULL);
    gtk_widget_measure(self->content, orientation, -1, &least_content, &natural_content, NULL,
                       NULL);
    *least = MAX(least_side, least_content);
    *natural = orientation == GTK_ORIENTATION_HORIZONTAL
                   ? MAX(natural_side + natural_content, *least)
                   : MAX(natural_side, natural_content);
    *least_baseline = *natural_baseline = -1;
}

/* x counts from the side where lines of text begin. */
static void place(HearthSplit *self, GtkWidget *child, int x, int width, int height)
{
    bool mirrored = gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL;
    int whole = gtk_widget_get_width(GTK_WIDGET(self));
    GtkAllocation at = {mirrored ? whole - x - width : x, 0, width, height};
    gtk_widget_size_allocate(child, &at, -1);
}

static void place_over(HearthSplit *self, int width, int height)
{
    int side = MIN(MAX(least_width(self->sidebar), MIN(320, width - 48)), width);
    int x = (int)((self->shown - 1) * side);
    bool open = self->shown > 0;
    gtk_widget_set_child_visible(self->sidebar, open);
    gtk_widget_set_child_visible(self->shade, open && x + side < width);
    gtk_widget_set_child_visible(self->line, false);
    place(self, self->content, 0, width, height);
    if (!open) return;
    place(self, self->sidebar, x, side, height);
    if (x + side < width) {
        gtk_widget_set_opacity(self->shade, self->shown);
        place(self, self->shade, x + side, width - x - side, height);
    }
}

static void place_beside(HearthSplit *self, int width, int height)
{
    int side = 0;
    if (self->beside) {
        int room = width - least_width(self->content);
        side = MAX(MIN(self->width, room), least_width(self->sidebar));
    }
    gtk_widget_set_child_visible(self->sidebar, self->beside);
    gtk_widget_set_child_visible(self->line, self->beside);
    gtk_widget_set_child_visible(self->shade, false);
    if (self->beside) {
        place(self, self->sidebar, 0, side, height);
        place(self, self->line, side, LINE, height);
    }
    place(self, self->content, side, width - side, height);
}

static void hearth_split_size_allocate(GtkWidget *widget, int width, int height, int baseline)
{
    HearthSplit *self = HEARTH_SPLIT(widget);
    (void)baseline;
    int both = least_width(self->sidebar) + least_width(self->content);
    bool narrow = width < MAX(NARROW, both);
    if (narrow != self->narrow) {
        self->narrow = narrow;
        self->over = false;
        adw_animation_pause(self->slide);
        self->shown = narrow ? 0 : self->beside;
        /* Whoever listens may ask for another layout, which must not be in this one. */
        if (!self->idle) self->idle = g_idle_add_full(G_PRIORITY_HIGH_IDLE, on_idle, self, NULL);
    }
    if (narrow)
        place_over(self, width, height);
    else
        place_beside(self, width, height);
}

/* The sidebar may lie over the content, though it is the first child: it is read first. */
static void hearth_split_snapshot(GtkWidget *widget, GtkSnapshot *snapshot)
{
    HearthSplit *self = HEARTH_SPLIT(widget);
    gtk_widget_snapshot_child(widget, self->content, snapshot);
    gtk_widget_snapshot_child(widget, self->shade, snapshot);
    gtk_widget_snapshot_child(widget, self->sidebar, snapshot);
    gtk_widget_snapshot_child(widget, self->line, snapshot);
}

/* ---- the line and the shade ------------------------------------------------------------------ */

static int towards_content(HearthSplit *self, int x)
{
    return gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL ? -x : x;
}

static void on_drag_begin(GtkGestureDrag *drag, double x, double y, HearthSplit *self)
{
    (void)x;
    (void)y;
    self->drag_from = gtk_widget_get_width(self->sidebar);
    gtk_gesture_set_state(GTK_GESTURE(drag), GTK_EVENT_SEQUENCE_CLAIMED);
}

static void on_drag_update(GtkGestureDrag *drag, double x, double y, HearthSplit *self)
{
    double start_x, start_y;
    graphene_point_t now;
    (void)y;
    /* The line moves under the pointer: offsets from it would be half of what was meant. */
    gtk_gesture_drag_get_start_point(drag, &start_x, &start_y);
    if (!gtk_widget_compute_point(self->line, GTK_WIDGET(self),
                                  &GRAPHENE_POINT_INIT((float)(start_x + x), 0), &now))
        return;
    int width = gtk_widget_get_width(GTK_WIDGET(self));
    bool mirrored = gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL;
    set_width(self, mirrored ? width - (int)now.x : (int)now.x);
}

static gboolean on_line_key(GtkEventController *controller, guint key, guint code,
                            GdkModifierType state, HearthSplit *self)
{
    (void)controller;
    (void)code;
    (void)state;
    if (key == GDK_KEY_Left || key == GDK_KEY_Right) {
        set_width(self,
                  self->width + towards_content(self, key == GDK_KEY_Left ? -KEY_STEP : KEY_STEP));
        return GDK_EVENT_STOP;
    }
    if (key == GDK_KEY_Escape || key == GDK_KEY_Return) {
        gtk_widget_grab_focus(self->home ? self->home : self->content);
        return GDK_EVENT_STOP;
    }
    return GDK_EVENT_PROPAGATE;
}

/* The Tab key passes it by: only its own shortcut leads here. */
void hearth_split_focus_line(HearthSplit *self)
{
    if (self->narrow || !self->beside) return;
    gtk_widget_set_focusable(self->line, true);
    gtk_widget_grab_focus(self->line);
}

static void on_line_left(GtkEventController *controller, HearthSplit *self)
{
    (void)controller;
    gtk_widget_set_focusable(self->line, false);
}

static void on_shade_pressed(GtkGestureClick *click, int n, double x, double y, HearthSplit *self)
{
    (void)n;
    (void)x;
    (void)y;
    gtk_gesture_set_state(GTK_GESTURE(click), GTK_EVENT_SEQUENCE_CLAIMED);
    hearth_split_set_show_sidebar(self, false);
}

/* ---- the widget ------------------------------------------------------------------------------ */

static void set_child(HearthSplit *self, GtkWidget **slot, GtkWidget *child)
{
    g_clear_pointer(slot, gtk_widget_unparent);
    *slot = child;
    if (!child) return;
    if (slot == &self->sidebar)
        gtk_widget_insert_after(child, GTK_WIDGET(self), NULL);
    else
        gtk_widget_insert_before(child, GTK_WIDGET(self), self->line);
}

static void hearth_split_set_property(GObject *object, guint id, const GValue *value,
                                      GParamSpec *spec)
{
    HearthSplit *self = HEARTH_SPLIT(object);
    switch (id) {
    case PROP_SIDEBAR: set_child(self, &self->sidebar, g_value_get_object(value)); break;
    case PROP_CONTENT: set_child(self, &self->content, g_value_get_object(value)); break;
    case PROP_SHOW_SIDEBAR: hearth_split_set_show_sidebar(self, g_value_get_boolean(value)); break;
    case PROP_SIDEBAR_WIDTH: set_width(self, g_value_get_int(value)); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void hearth_split_get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthSplit *self = HEARTH_SPLIT(object);
    switch (id) {
    case PROP_SIDEBAR: g_value_set_object(value, self->sidebar); break;
    case PROP_CONTENT: g_value_set_object(value, self->content); break;
    case PROP_SHOW_SIDEBAR: g_value_set_boolean(value, hearth_split_get_show_sidebar(self)); break;
    case PROP_SIDEBAR_WIDTH: g_value_set_int(value, self->width); break;
    case PROP_NARROW: g_value_set_boolean(value, self->narrow); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void hearth_split_dispose(GObject *object)
{
    HearthSplit *self = HEARTH_SPLIT(object);
    g_clear_handle_id(&self->idle, g_source_remove);
    g_clear_weak_pointer(&self->home);
    if (self->slide) adw_animation_pause(self->slide);
    g_clear_object(&self->slide);
    g_clear_pointer(&self->sidebar, gtk_widget_unparent);
    g_clear_pointer(&self->content, gtk_widget_unparent);
    g_clear_pointer(&self->line, gtk_widget_unparent);
    g_clear_pointer(&self->shade, gtk_widget_unparent);
    G_OBJECT_CLASS(hearth_split_parent_class)->dispose(object);
}

static void hearth_split_class_init(HearthSplitClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
    object_class->set_property = hearth_split_set_property;
    object_class->get_property = hearth_split_get_property;
    object_class->dispose = hearth_split_dispose;
    widget_class->measure = hearth_split_measure;
    widget_class->size_allocate = hearth_split_size_allocate;
    widget_class->snapshot = hearth_split_snapshot;
    props[PROP_SIDEBAR] = g_param_spec_object("sidebar", NULL, NULL, GTK_TYPE_WIDGET, flags);
    props[PROP_CONTENT] = g_param_spec_object("content", NULL, NULL, GTK_TYPE_WIDGET, flags);
    props[PROP_SHOW_SIDEBAR] = g_param_spec_boolean("show-sidebar", NULL, NULL, true, flags);
    props[PROP_SIDEBAR_WIDTH] =
        g_param_spec_int("sidebar-width", NULL, NULL, 0, G_MAXINT, 280, flags);
    props[PROP_NARROW] = g_param_spec_boolean("narrow", NULL, NULL, false,
                                              G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
    g_object_class_install_properties(object_class, N_PROPS, props);
    gtk_widget_class_set_css_name(widget_class, "split");
}

static void add_line(HearthSplit *self)
{
    GtkGesture *drag = gtk_gesture_drag_new();
    GtkEventController *keys = gtk_event_controller_key_new();
    GtkEventController *focus = gtk_event_controller_focus_new();
    self->line = g_object_new(ADW_TYPE_BIN, "css-name", "line", "accessible-role",
                              GTK_ACCESSIBLE_ROLE_SEPARATOR, NULL);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->line), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Width of the Sidebar"), -1);
    gtk_widget_set_cursor_from_name(self->line, "col-resize");
    g_signal_connect(drag, "drag-begin", G_CALLBACK(on_drag_begin), self);
    g_signal_connect(drag, "drag-update", G_CALLBACK(on_drag_update), self);
    g_signal_connect(keys, "key-pressed", G_CALLBACK(on_line_key), self);
    g_signal_connect(focus, "leave", G_CALLBACK(on_line_left), self);
    gtk_widget_add_controller(self->line, GTK_EVENT_CONTROLLER(drag));
    gtk_widget_add_controller(self->line, keys);
    gtk_widget_add_controller(self->line, focus);
    gtk_widget_set_parent(self->line, GTK_WIDGET(self));
}

static void add_shade(HearthSplit *self)
{
    GtkGesture *click = gtk_gesture_click_new();
    self->shade = g_object_new(ADW_TYPE_BIN, "css-name", "shade", "accessible-role",
                               GTK_ACCESSIBLE_ROLE_PRESENTATION, NULL);
    g_signal_connect(click, "pressed", G_CALLBACK(on_shade_pressed), self);
    gtk_widget_add_controller(self->shade, GTK_EVENT_CONTROLLER(click));
    gtk_widget_set_parent(self->shade, GTK_WIDGET(self));
}

static void hearth_split_init(HearthSplit *self)
{
    self->beside = true;
    self->shown = 1;
    self->width = 280;
    gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
    add_line(self);
    add_shade(self);
    self->slide = adw_timed_animation_new(GTK_WIDGET(self), 0, 1, DURATION,
                                          adw_callback_animation_target_new(on_slide, self, NULL));
}
