#include "field.h"

#include "../focus.h"
#include "../measure.h"

#define MARGIN 7 /* px above and below the text */

struct _HearthChatField {
    GtkWidget parent_instance;
    GtkWidget *overlay, *scroller, *view, *placeholder;
    GtkTextBuffer *buffer;
    int lines;
    guint grow;
};

enum { PROP_LINES = 1, PROP_LABEL, N_PROPS };
static GParamSpec *props[N_PROPS];
enum { SEND, KEY, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE(HearthChatField, hearth_chat_field, GTK_TYPE_WIDGET)

/* ---- size -------------------------------------------------------------------------------------*/

static gboolean grow(void *data)
{
    HearthChatField *self = data;
    self->grow = 0;
    gtk_widget_queue_resize(self->view);
    return G_SOURCE_REMOVE;
}

/* A text view knows its height only after it has been laid out, and what it asks for then, in the
 * middle of the layout, GTK forgets: ask again. */
static void laid_out(HearthChatField *self)
{
    int natural;
    gtk_widget_measure(self->view, GTK_ORIENTATION_VERTICAL, -1, NULL, &natural, NULL, NULL);
    int most = gtk_scrolled_window_get_max_content_height(GTK_SCROLLED_WINDOW(self->scroller));
    bool right = gtk_widget_get_height(self->view) == natural ||
                 (natural >= most && gtk_widget_get_height(self->scroller) >= most);
    if (!right && !self->grow) self->grow = g_idle_add(grow, self);
}

static void fit(HearthChatField *self)
{
    gtk_scrolled_window_set_max_content_height(GTK_SCROLLED_WINDOW(self->scroller),
                                               hearth_chat_measure_lines(self->view, self->lines) +
                                                   2 * MARGIN);
}

static void map(GtkWidget *widget)
{
    fit(HEARTH_CHAT_FIELD(widget));
    GTK_WIDGET_CLASS(hearth_chat_field_parent_class)->map(widget);
}

static void system_setting_changed(GtkWidget *widget, GtkSystemSetting setting)
{
    GTK_WIDGET_CLASS(hearth_chat_field_parent_class)->system_setting_changed(widget, setting);
    if (setting == GTK_SYSTEM_SETTING_DPI || setting == GTK_SYSTEM_SETTING_FONT_NAME)
        fit(HEARTH_CHAT_FIELD(widget));
}

/* ---- text and keys ----------------------------------------------------------------------------*/

static void show_placeholder(HearthChatField *self, const char *preedit)
{
    gtk_widget_set_visible(self->placeholder,
                           !*preedit && !gtk_text_buffer_get_char_count(self->buffer));
}

/* Without a layout before the next frame the text view would learn its new height while it is
 * drawn, and move a scroll bar that is about to be drawn. */
static void changed(HearthChatField *self)
{
    show_placeholder(self, "");
    gtk_widget_queue_resize(self->view);
}

/* Asked while nothing else has seen the key. When the input method has no use for an Enter, it is
 * ours and stops here: the text view does not ask the input method a second time. */
static bool sends(HearthChatField *self, GtkEventControllerKey *keys, guint keyval,
                  GdkModifierType state)
{
    bool enter =
        keyval == GDK_KEY_Return || keyval == GDK_KEY_KP_Enter || keyval == GDK_KEY_ISO_Enter;
    if (!enter || (state & (GDK_SHIFT_MASK | GDK_ALT_MASK))) return false;
    GdkEvent *event = gtk_event_controller_get_current_event(GTK_EVENT_CONTROLLER(keys));
    return !event || !gtk_text_view_im_context_filter_keypress(GTK_TEXT_VIEW(self->view), event);
}

static gboolean key_pressed(GtkEventControllerKey *keys, guint keyval, guint code G_GNUC_UNUSED,
                            GdkModifierType state, HearthChatField *self)
{
    gboolean used = GDK_EVENT_PROPAGATE;
    if (sends(self, keys, keyval, state)) {
        g_signal_emit(self, signals[SEND], 0);
        return GDK_EVENT_STOP;
    }
    g_signal_emit(self, signals[KEY], 0, keyval, state & gtk_accelerator_get_default_mod_mask(),
                  &used);
    return used;
}

static gboolean grab_focus(GtkWidget *widget)
{
    return gtk_widget_grab_focus(HEARTH_CHAT_FIELD(widget)->view);
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void set_label(HearthChatField *self, const char *label)
{
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->view), GTK_ACCESSIBLE_PROPERTY_LABEL, label,
                                   -1);
    gtk_label_set_text(GTK_LABEL(self->placeholder), label);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    HearthChatField *self = HEARTH_CHAT_FIELD(object);
    switch (id) {
    case PROP_LINES: self->lines = g_value_get_int(value); break;
    case PROP_LABEL: set_label(self, g_value_get_string(value)); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    switch (id) {
    case PROP_LINES: g_value_set_int(value, HEARTH_CHAT_FIELD(object)->lines); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void dispose(GObject *object)
{
    HearthChatField *self = HEARTH_CHAT_FIELD(object);
    g_clear_handle_id(&self->grow, g_source_remove);
    if (self->buffer) g_signal_handlers_disconnect_by_data(self->buffer, self);
    g_clear_object(&self->buffer);
    g_clear_pointer(&self->overlay, gtk_widget_unparent);
    G_OBJECT_CLASS(hearth_chat_field_parent_class)->dispose(object);
}

static void hearth_chat_field_class_init(HearthChatFieldClass *klass)
{
    GObjectClass *object_class = G_OBJECT_CLASS(klass);
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    object_class->set_property = set_property;
    object_class->get_property = get_property;
    object_class->dispose = dispose;
    widget_class->map = map;
    widget_class->system_setting_changed = system_setting_changed;
    widget_class->grab_focus = grab_focus;
    widget_class->focus = hearth_chat_focus_move;
    GParamFlags flags = G_PARAM_STATIC_STRINGS | G_PARAM_WRITABLE;
    props[PROP_LINES] = g_param_spec_int("lines", NULL, NULL, 1, 1000, 8, flags | G_PARAM_READABLE);
    props[PROP_LABEL] = g_param_spec_string("label", NULL, NULL, "", flags);
    g_object_class_install_properties(object_class, N_PROPS, props);
    signals[SEND] = g_signal_new("send", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 0);
    signals[KEY] = g_signal_new("key", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
                                g_signal_accumulator_true_handled, NULL, NULL, G_TYPE_BOOLEAN, 2,
                                G_TYPE_UINT, GDK_TYPE_MODIFIER_TYPE);
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "field");
}

static void make_view(HearthChatField *self)
{
    self->view = gtk_text_view_new();
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(self->view), GTK_WRAP_WORD_CHAR);
    gtk_text_view_set_accepts_tab(GTK_TEXT_VIEW(self->view), FALSE);
    gtk_text_view_set_top_margin(GTK_TEXT_VIEW(self->view), MARGIN);
    gtk_text_view_set_bottom_margin(GTK_TEXT_VIEW(self->view), MARGIN);
    g_signal_connect_swapped(self->view, "preedit-changed", G_CALLBACK(show_placeholder), self);
    GtkEventController *keys = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
    g_signal_connect(keys, "key-pressed", G_CALLBACK(key_pressed), self);
    gtk_widget_add_controller(self->view, keys);
}

static void make_placeholder(HearthChatField *self)
{
    self->placeholder = gtk_label_new(NULL);
    gtk_label_set_ellipsize(GTK_LABEL(self->placeholder), PANGO_ELLIPSIZE_END);
    gtk_widget_set_halign(self->placeholder, GTK_ALIGN_START);
    gtk_widget_set_valign(self->placeholder, GTK_ALIGN_START);
    gtk_widget_set_margin_top(self->placeholder, MARGIN);
    gtk_widget_set_can_target(self->placeholder, FALSE);
    gtk_widget_add_css_class(self->placeholder, "placeholder");
    gtk_accessible_update_state(GTK_ACCESSIBLE(self->placeholder), GTK_ACCESSIBLE_STATE_HIDDEN,
                                TRUE, -1);
}

static void hearth_chat_field_init(HearthChatField *self)
{
    self->lines = 8;
    make_view(self);
    make_placeholder(self);
    self->scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(self->scroller), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_propagate_natural_height(GTK_SCROLLED_WINDOW(self->scroller), TRUE);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(self->scroller), self->view);
    gtk_widget_set_focusable(self->scroller, FALSE);
    g_signal_connect_swapped(
        gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(self->scroller)), "changed",
        G_CALLBACK(laid_out), self);
    self->overlay = gtk_overlay_new();
    gtk_overlay_set_child(GTK_OVERLAY(self->overlay), self->scroller);
    gtk_overlay_add_overlay(GTK_OVERLAY(self->overlay), self->placeholder);
    gtk_widget_set_parent(self->overlay, GTK_WIDGET(self));
    hearth_chat_field_set_buffer(self, NULL);
}

/* ---- public -----------------------------------------------------------------------------------*/

void hearth_chat_field_set_buffer(HearthChatField *field, GtkTextBuffer *buffer)
{
    if (field->buffer) g_signal_handlers_disconnect_by_data(field->buffer, field);
    g_clear_object(&field->buffer);
    field->buffer = buffer ? g_object_ref(buffer) : gtk_text_buffer_new(NULL);
    gtk_text_view_set_buffer(GTK_TEXT_VIEW(field->view), field->buffer);
    g_signal_connect_swapped(field->buffer, "changed", G_CALLBACK(changed), field);
    changed(field);
}

char *hearth_chat_field_get_text(HearthChatField *field)
{
    char *text = NULL;
    g_object_get(field->buffer, "text", &text, NULL);
    return text;
}

void hearth_chat_field_set_blinks(HearthChatField *field, bool blinks)
{
    GtkSettings *settings = gtk_widget_get_settings(GTK_WIDGET(field));
    if (blinks)
        gtk_settings_reset_property(settings, "gtk-cursor-blink");
    else
        g_object_set(settings, "gtk-cursor-blink", FALSE, NULL);
    /* Else it would ask the next time that it gets the focus. */
    gtk_text_view_set_cursor_visible(GTK_TEXT_VIEW(field->view), FALSE);
    gtk_text_view_set_cursor_visible(GTK_TEXT_VIEW(field->view), TRUE);
}

bool hearth_chat_field_fits(HearthChatField *field)
{
    GtkAdjustment *adjustment =
        gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(field->scroller));
    return gtk_adjustment_get_upper(adjustment) <= gtk_adjustment_get_page_size(adjustment);
}
