#include "column.h"

#include <math.h>

#include "measure.h"

#define SPACING 10
#define MARGIN 18 /* above and below all rows, and beside them */
#define NARROW_MARGIN 12
#define NARROW 500
#define END_SLACK 4 /* px from the end that still count as being there */

typedef struct {
    GtkWidget *row;
    int y, height; /* in the column, as last laid out */
} Slot;

struct _HearthChatColumn {
    GtkWidget parent_instance;
    GtkAdjustment *adjustments[2]; /* by GtkOrientation */
    GtkScrollablePolicy policies[2];
    GArray *slots; /* of Slot */
    bool at_end, more_below;
    GtkWidget *held; /* NULL: the end, or nothing is there yet */
    double held_y;   /* of its top in the view */
    int width;       /* of the rows, as last laid out */
    bool placing;    /* it is us who set the adjustment */
    double glide;    /* px that a gentle scroll still has to go */
    gint64 glide_time;
    guint glide_tick, settle_tick;
    GtkWidget *entered; /* the row that had the focus last */
    GtkRoot *root;      /* whose focus is followed */
};

enum { PROP_0, PROP_HADJUSTMENT, PROP_VADJUSTMENT, PROP_HSCROLL_POLICY, PROP_VSCROLL_POLICY };
enum { PLACED, SETTLED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE_WITH_CODE(HearthChatColumn, hearth_chat_column, GTK_TYPE_WIDGET,
                        G_IMPLEMENT_INTERFACE(GTK_TYPE_SCROLLABLE, NULL))

static Slot *slot_at(HearthChatColumn *self, guint i)
{
    return &g_array_index(self->slots, Slot, i);
}

static GtkAdjustment *vertical(HearthChatColumn *self)
{
    return self->adjustments[GTK_ORIENTATION_VERTICAL];
}

/* ---- the place --------------------------------------------------------------------------------*/

static Slot *held_slot(HearthChatColumn *self)
{
    for (guint i = 0; self->held && i < self->slots->len; i++)
        if (slot_at(self, i)->row == self->held) return slot_at(self, i);
    return NULL;
}

/* Holds on to what is in view at `value`: the end, or the first row that reaches into the view. */
static void take_hold(HearthChatColumn *self, double value)
{
    GtkAdjustment *adjustment = vertical(self);
    double end = gtk_adjustment_get_upper(adjustment) - gtk_adjustment_get_page_size(adjustment);
    self->held = NULL;
    self->at_end = !self->more_below && value >= end - END_SLACK;
    for (guint i = 0; !self->at_end && i < self->slots->len; i++) {
        Slot *slot = slot_at(self, i);
        if (slot->y + slot->height <= value && i + 1 < self->slots->len) continue;
        self->held = slot->row;
        self->held_y = slot->y - value;
        break;
    }
}

static gboolean settle(GtkWidget *widget, GdkFrameClock *clock G_GNUC_UNUSED,
                       void *data G_GNUC_UNUSED)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    self->settle_tick = 0;
    g_signal_emit(self, signals[SETTLED], 0);
    return G_SOURCE_REMOVE;
}

static void value_changed(GtkAdjustment *adjustment, HearthChatColumn *self)
{
    if (self->placing) return;
    take_hold(self, gtk_adjustment_get_value(adjustment));
    gtk_widget_queue_allocate(GTK_WIDGET(self));
}

/* ---- layout -----------------------------------------------------------------------------------*/

static int margin_at(int width) { return width < NARROW ? NARROW_MARGIN : MARGIN; }

static int row_width(GtkWidget *widget, int width)
{
    return CLAMP(width - 2 * margin_at(width), 1, hearth_chat_measure_column(widget));
}

/* Whatever is in it, it is happy with the height it gets. The rows are not even asked: they would
 * lay their text out for widths that they never have, each frame while an answer is written. */
static void measure(GtkWidget *widget, GtkOrientation orientation, int for_size G_GNUC_UNUSED,
                    int *ret_min, int *ret_natural, int *ret_min_baseline,
                    int *ret_natural_baseline)
{
    int natural = hearth_chat_measure_column(widget) + 2 * MARGIN;
    *ret_min = orientation == GTK_ORIENTATION_HORIZONTAL ? 2 * NARROW_MARGIN : 0;
    *ret_natural = orientation == GTK_ORIENTATION_HORIZONTAL ? natural : natural / 2;
    *ret_min_baseline = *ret_natural_baseline = -1;
}

/* Heights and places of all rows; returns the height of all. Only rows that changed measure
 * themselves anew: GTK keeps the answers of the others. */
static int lay_out(HearthChatColumn *self, int width)
{
    int y = MARGIN;
    for (guint i = 0; i < self->slots->len; i++) {
        Slot *slot = slot_at(self, i);
        int least = 0;
        gtk_widget_measure(slot->row, GTK_ORIENTATION_HORIZONTAL, -1, &least, NULL, NULL, NULL);
        slot->y = y;
        gtk_widget_measure(slot->row, GTK_ORIENTATION_VERTICAL, MAX(width, least), NULL,
                           &slot->height, NULL, NULL);
        y += slot->height + SPACING;
    }
    return y - (self->slots->len ? SPACING : 0) + MARGIN;
}

/* Where the view begins, now that the rows have their heights. */
static double place(HearthChatColumn *self, int height, int content)
{
    Slot *held = held_slot(self);
    double end = MAX(0, content - height);
    if (self->at_end || !held) return end;
    return CLAMP(held->y - self->held_y, 0, end);
}

static void configure(HearthChatColumn *self, int width, int height, int content, double value)
{
    self->placing = true;
    gtk_adjustment_configure(self->adjustments[GTK_ORIENTATION_HORIZONTAL], 0, 0, width, 1, width,
                             width);
    gtk_adjustment_configure(vertical(self), value, 0, MAX(content, height), MAX(24, height * 0.1),
                             height * 0.9, height);
    self->placing = false;
}

static void size_allocate(GtkWidget *widget, int width, int height, int baseline G_GNUC_UNUSED)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    if (!vertical(self)) return;
    int w = row_width(widget, width), x = (width - w) / 2;
    Slot *held = held_slot(self);
    int before = held ? held->height : 0;
    int content = lay_out(self, w);
    /* Other line breaks: the same part of the text stays at the top, not the same pixel. */
    if (held && w != self->width && before && self->held_y < 0)
        self->held_y *= (double)held->height / before;
    self->width = w;
    double value = place(self, height, content);
    configure(self, width, height, content, value);
    /* Rows that were held are gone, or shrank until the end came into view. */
    bool shrunk = held && !self->more_below && held->y - self->held_y > value + END_SLACK;
    if (!self->at_end && (!held || shrunk)) take_hold(self, value);
    for (guint i = 0; i < self->slots->len; i++) {
        Slot *slot = slot_at(self, i);
        int least = 0;
        gtk_widget_measure(slot->row, GTK_ORIENTATION_HORIZONTAL, -1, &least, NULL, NULL, NULL);
        gtk_widget_size_allocate(
            slot->row,
            &(GtkAllocation){x, slot->y - (int)round(value), MAX(w, least), slot->height}, -1);
    }
    g_signal_emit(self, signals[PLACED], 0);
}

/* The cairo renderer draws what is clipped away, too. */
static void snapshot(GtkWidget *widget, GtkSnapshot *to)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    double from, until;
    for (guint i = 0; i < self->slots->len; i++)
        if (hearth_chat_column_get_shown(self, i, &from, &until))
            gtk_widget_snapshot_child(widget, slot_at(self, i)->row, to);
}

/* ---- gentle scrolling -------------------------------------------------------------------------*/

/* What is left shrinks by a fixed share per time; relative, so that rows may come and go meanwhile.
 */
static gboolean glide_on(GtkWidget *widget, GdkFrameClock *clock, void *data G_GNUC_UNUSED)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    gint64 now = gdk_frame_clock_get_frame_time(clock);
    double passed = self->glide_time ? (now - self->glide_time) / 1e6 : 1 / 60.0;
    self->glide_time = now;
    double step = self->glide * (1 - exp(-18 * passed));
    if (fabs(self->glide - step) < 1) step = self->glide;
    GtkAdjustment *adjustment = vertical(self);
    double value = gtk_adjustment_get_value(adjustment);
    gtk_adjustment_set_value(adjustment, value + step);
    bool stuck = fabs(gtk_adjustment_get_value(adjustment) - value) < fabs(step) - 1;
    self->glide = stuck ? 0 : self->glide - step;
    if (fabs(self->glide) >= 0.5) return G_SOURCE_CONTINUE;
    self->glide_tick = 0;
    return G_SOURCE_REMOVE;
}

/* ---- focus ------------------------------------------------------------------------------------*/

/* What gets the focus comes into view; what is partly in view and too tall to fit stays. */
static void follow_focus(GtkRoot *root, GParamSpec *spec G_GNUC_UNUSED, HearthChatColumn *self)
{
    GtkWidget *focus = gtk_root_get_focus(root);
    graphene_rect_t bounds;
    if (!focus || !vertical(self) || !gtk_widget_is_ancestor(focus, GTK_WIDGET(self)) ||
        !gtk_widget_compute_bounds(focus, GTK_WIDGET(self), &bounds))
        return;
    double page = gtk_adjustment_get_page_size(vertical(self));
    double top = bounds.origin.y, end = top + bounds.size.height;
    if (bounds.size.height > page ? end > 0 && top < page : top >= 0 && end <= page) return;
    double by = top < 0 || bounds.size.height > page ? top - MARGIN : end - page + MARGIN;
    GtkAdjustment *adjustment = vertical(self);
    gtk_adjustment_set_value(adjustment, gtk_adjustment_get_value(adjustment) + by);
}

/* Tab knows the column as one stop, a row; in it Tab goes through what the row has, and then on to
 * what follows the column. Up and down go from row to row. */
static gboolean focus(GtkWidget *widget, GtkDirectionType direction)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    GtkWidget *in = gtk_widget_get_focus_child(widget);
    if (!in) {
        GtkWidget *row = self->entered ? self->entered : gtk_widget_get_last_child(widget);
        return row && gtk_widget_grab_focus(row);
    }
    self->entered = in;
    if (direction == GTK_DIR_UP || direction == GTK_DIR_DOWN) {
        GtkWidget *to = direction == GTK_DIR_UP ? gtk_widget_get_prev_sibling(in)
                                                : gtk_widget_get_next_sibling(in);
        if (to) gtk_widget_grab_focus(to);
        return TRUE;
    }
    return gtk_widget_child_focus(in, direction);
}

static void set_focus_child(GtkWidget *widget, GtkWidget *child)
{
    if (child) HEARTH_CHAT_COLUMN(widget)->entered = child;
    GTK_WIDGET_CLASS(hearth_chat_column_parent_class)->set_focus_child(widget, child);
}

static void root(GtkWidget *widget)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    GTK_WIDGET_CLASS(hearth_chat_column_parent_class)->root(widget);
    self->root = gtk_widget_get_root(widget);
    g_signal_connect(self->root, "notify::focus-widget", G_CALLBACK(follow_focus), self);
}

static void unroot(GtkWidget *widget)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(widget);
    g_signal_handlers_disconnect_by_func(self->root, follow_focus, self);
    self->root = NULL;
    GTK_WIDGET_CLASS(hearth_chat_column_parent_class)->unroot(widget);
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void set_adjustment(HearthChatColumn *self, GtkOrientation orientation,
                           GtkAdjustment *adjustment)
{
    GtkAdjustment **place_of = &self->adjustments[orientation];
    if (adjustment && adjustment == *place_of) return;
    if (!adjustment) adjustment = gtk_adjustment_new(0, 0, 0, 0, 0, 0);
    if (*place_of) g_signal_handlers_disconnect_by_data(*place_of, self);
    g_clear_object(place_of);
    *place_of = g_object_ref_sink(adjustment);
    if (orientation == GTK_ORIENTATION_VERTICAL)
        g_signal_connect(adjustment, "value-changed", G_CALLBACK(value_changed), self);
    gtk_widget_queue_allocate(GTK_WIDGET(self));
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(object);
    switch (id) {
    case PROP_HADJUSTMENT:
        set_adjustment(self, GTK_ORIENTATION_HORIZONTAL, g_value_get_object(value));
        break;
    case PROP_VADJUSTMENT:
        set_adjustment(self, GTK_ORIENTATION_VERTICAL, g_value_get_object(value));
        break;
    case PROP_HSCROLL_POLICY: self->policies[0] = g_value_get_enum(value); break;
    case PROP_VSCROLL_POLICY: self->policies[1] = g_value_get_enum(value); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(object);
    switch (id) {
    case PROP_HADJUSTMENT: g_value_set_object(value, self->adjustments[0]); break;
    case PROP_VADJUSTMENT: g_value_set_object(value, self->adjustments[1]); break;
    case PROP_HSCROLL_POLICY: g_value_set_enum(value, self->policies[0]); break;
    case PROP_VSCROLL_POLICY: g_value_set_enum(value, self->policies[1]); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void dispose(GObject *object)
{
    HearthChatColumn *self = HEARTH_CHAT_COLUMN(object);
    while (self->slots->len) hearth_chat_column_remove(self, self->slots->len - 1);
    for (int i = 0; i < 2; i++) {
        if (self->adjustments[i]) g_signal_handlers_disconnect_by_data(self->adjustments[i], self);
        g_clear_object(&self->adjustments[i]);
    }
    G_OBJECT_CLASS(hearth_chat_column_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    g_array_unref(HEARTH_CHAT_COLUMN(object)->slots);
    G_OBJECT_CLASS(hearth_chat_column_parent_class)->finalize(object);
}

static void hearth_chat_column_class_init(HearthChatColumnClass *klass)
{
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->dispose = dispose;
    object_class->finalize = finalize;
    widget_class->measure = measure;
    widget_class->size_allocate = size_allocate;
    widget_class->snapshot = snapshot;
    widget_class->focus = focus;
    widget_class->set_focus_child = set_focus_child;
    widget_class->root = root;
    widget_class->unroot = unroot;
    g_object_class_override_property(object_class, PROP_HADJUSTMENT, "hadjustment");
    g_object_class_override_property(object_class, PROP_VADJUSTMENT, "vadjustment");
    g_object_class_override_property(object_class, PROP_HSCROLL_POLICY, "hscroll-policy");
    g_object_class_override_property(object_class, PROP_VSCROLL_POLICY, "vscroll-policy");
    signals[PLACED] = g_signal_new("placed", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL,
                                   NULL, NULL, G_TYPE_NONE, 0);
    signals[SETTLED] = g_signal_new("settled", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL,
                                    NULL, NULL, G_TYPE_NONE, 0);
    gtk_widget_class_set_css_name(widget_class, "column");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_LIST);
}

static void hearth_chat_column_init(HearthChatColumn *self)
{
    self->slots = g_array_new(FALSE, TRUE, sizeof(Slot));
    self->at_end = true;
    gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
}

/* ---- public -----------------------------------------------------------------------------------*/

GtkWidget *hearth_chat_column_new(void) { return g_object_new(HEARTH_TYPE_CHAT_COLUMN, NULL); }

void hearth_chat_column_insert(HearthChatColumn *column, GtkWidget *row, guint index)
{
    GtkWidget *before = index < column->slots->len ? slot_at(column, index)->row : NULL;
    Slot slot = {row, before ? slot_at(column, index)->y : 0, 0};
    g_array_insert_val(column->slots, index, slot);
    gtk_widget_insert_before(row, GTK_WIDGET(column), before);
}

void hearth_chat_column_remove(HearthChatColumn *column, guint index)
{
    Slot gone = *slot_at(column, index);
    if (gone.row == column->held && column->slots->len > 1) {
        Slot *next = slot_at(column, index + 1 < column->slots->len ? index + 1 : index - 1);
        column->held_y += next->y - gone.y;
        column->held = next->row;
    } else if (gone.row == column->held) {
        column->held = NULL;
    }
    if (gone.row == column->entered) column->entered = NULL;
    g_array_remove_index(column->slots, index);
    gtk_widget_unparent(gone.row);
}

guint hearth_chat_column_get_n_rows(HearthChatColumn *column) { return column->slots->len; }

GtkWidget *hearth_chat_column_get_row(HearthChatColumn *column, guint index)
{
    return index < column->slots->len ? slot_at(column, index)->row : NULL;
}

void hearth_chat_column_set_more_below(HearthChatColumn *column, bool more)
{
    if (column->more_below == more) return;
    column->more_below = more;
    if (more && column->at_end && vertical(column))
        take_hold(column, gtk_adjustment_get_value(vertical(column)));
}

bool hearth_chat_column_is_at_end(HearthChatColumn *column) { return column->at_end; }

void hearth_chat_column_hold_end(HearthChatColumn *column)
{
    column->at_end = true;
    column->held = NULL;
    column->glide = 0;
    gtk_widget_queue_allocate(GTK_WIDGET(column));
}

GtkWidget *hearth_chat_column_get_place(HearthChatColumn *column, double *ret_y)
{
    if (column->at_end || !column->held) return NULL;
    *ret_y = column->held_y;
    return column->held;
}

void hearth_chat_column_hold(HearthChatColumn *column, GtkWidget *row, double y)
{
    column->at_end = false;
    column->held = row;
    column->held_y = y;
    column->glide = 0;
    gtk_widget_queue_allocate(GTK_WIDGET(column));
}

void hearth_chat_column_get_hidden(HearthChatColumn *column, double *ret_above, double *ret_below)
{
    GtkAdjustment *adjustment = vertical(column);
    *ret_above = gtk_adjustment_get_value(adjustment);
    *ret_below = gtk_adjustment_get_upper(adjustment) - gtk_adjustment_get_page_size(adjustment) -
                 *ret_above;
}

void hearth_chat_column_get_outside(HearthChatColumn *column, guint index, double *ret_above,
                                    double *ret_below)
{
    Slot *slot = slot_at(column, index);
    double value = gtk_adjustment_get_value(vertical(column));
    *ret_above = value - (slot->y + slot->height);
    *ret_below = slot->y - value - gtk_adjustment_get_page_size(vertical(column));
}

bool hearth_chat_column_get_shown(HearthChatColumn *column, guint index, double *ret_from,
                                  double *ret_to)
{
    Slot *slot = slot_at(column, index);
    *ret_from = gtk_adjustment_get_value(vertical(column)) - slot->y;
    *ret_to = *ret_from + gtk_adjustment_get_page_size(vertical(column));
    /* Shadows and focus rings reach out of the row. */
    return *ret_to > -MARGIN && *ret_from < slot->height + MARGIN;
}

void hearth_chat_column_settle(HearthChatColumn *column)
{
    if (!column->settle_tick)
        column->settle_tick = gtk_widget_add_tick_callback(GTK_WIDGET(column), settle, NULL, NULL);
}

void hearth_chat_column_glide(HearthChatColumn *column, double by)
{
    gboolean animated = TRUE;
    g_object_get(gtk_widget_get_settings(GTK_WIDGET(column)), "gtk-enable-animations", &animated,
                 NULL);
    GtkAdjustment *adjustment = vertical(column);
    if (!animated || !gtk_widget_get_mapped(GTK_WIDGET(column))) {
        gtk_adjustment_set_value(adjustment, gtk_adjustment_get_value(adjustment) + by);
        return;
    }
    column->glide += by;
    if (column->glide_tick) return;
    column->glide_time = 0;
    column->glide_tick = gtk_widget_add_tick_callback(GTK_WIDGET(column), glide_on, NULL, NULL);
}
