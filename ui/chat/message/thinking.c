#include "thinking.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "markdown/view.h"
#include "peek.h"
#include "words.h"

struct _HearthMessageThinking {
    GtkWidget parent_instance;
    HearthMessage *message;
    HearthMessageMemo *memo;
    GtkWidget *toggle, *spinner, *arrow, *title, *peek, *revealer, *text;
    guint clock; /* counts the seconds while it runs and is seen */
};

G_DEFINE_TYPE(HearthMessageThinking, hearth_message_thinking, GTK_TYPE_WIDGET)

static bool is_running(HearthMessageThinking *self)
{
    return hearth_message_get_state(self->message) == HEARTH_STATE_THINKING;
}

static void update_title(HearthMessageThinking *self)
{
    g_autofree char *title = hearth_message_words_thinking(
        hearth_message_get_thinking_seconds(self->message), is_running(self));
    if (!g_strcmp0(title, gtk_label_get_text(GTK_LABEL(self->title)))) return;
    gtk_label_set_text(GTK_LABEL(self->title), title);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->toggle), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   title, -1);
}

static gboolean tick(void *data)
{
    update_title(data);
    return G_SOURCE_CONTINUE;
}

static void run_clock(HearthMessageThinking *self)
{
    bool run = is_running(self) && gtk_widget_get_mapped(GTK_WIDGET(self));
    if (run && !self->clock) self->clock = g_timeout_add(500, tick, self);
    if (!run) g_clear_handle_id(&self->clock, g_source_remove);
}

/* The text is made when it is opened for the first time: most of it is never looked at. */
static void update_text(HearthMessageThinking *self)
{
    if (!self->memo->thinking_open) return;
    if (!self->text) {
        self->text = hearth_markdown_view_new();
        gtk_widget_add_css_class(self->text, "thoughts");
        gtk_revealer_set_child(GTK_REVEALER(self->revealer), self->text);
    }
    size_t len;
    const char *thinking = hearth_message_get_thinking(self->message, &len);
    hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(self->text), thinking, len,
                                  !is_running(self));
}

static void update_fold(HearthMessageThinking *self)
{
    bool open = self->memo->thinking_open;
    gtk_revealer_set_reveal_child(GTK_REVEALER(self->revealer), open);
    gtk_image_set_from_icon_name(GTK_IMAGE(self->arrow),
                                 open ? "pan-down-symbolic" : "pan-end-symbolic");
    gtk_accessible_update_state(GTK_ACCESSIBLE(self->toggle), GTK_ACCESSIBLE_STATE_EXPANDED, open,
                                -1);
    gtk_widget_set_visible(self->peek, is_running(self) && !open);
}

static void toggled(HearthMessageThinking *self)
{
    self->memo->thinking_set = true;
    self->memo->thinking_open = !self->memo->thinking_open;
    update_text(self);
    update_fold(self);
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void map(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(hearth_message_thinking_parent_class)->map(widget);
    run_clock(HEARTH_MESSAGE_THINKING(widget));
}

static void unmap(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(hearth_message_thinking_parent_class)->unmap(widget);
    run_clock(HEARTH_MESSAGE_THINKING(widget));
}

static void dispose(GObject *object)
{
    HearthMessageThinking *self = HEARTH_MESSAGE_THINKING(object);
    g_clear_handle_id(&self->clock, g_source_remove);
    for (GtkWidget *child; (child = gtk_widget_get_first_child(GTK_WIDGET(self)));)
        gtk_widget_unparent(child);
    g_clear_object(&self->message);
    G_OBJECT_CLASS(hearth_message_thinking_parent_class)->dispose(object);
}

static void hearth_message_thinking_class_init(HearthMessageThinkingClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    widget_class->map = map;
    widget_class->unmap = unmap;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "thinking");
}

static void hearth_message_thinking_init(HearthMessageThinking *self)
{
    GtkWidget *widget = GTK_WIDGET(self);
    gtk_orientable_set_orientation(GTK_ORIENTABLE(gtk_widget_get_layout_manager(widget)),
                                   GTK_ORIENTATION_VERTICAL);
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    self->arrow = gtk_image_new();
    self->spinner = gtk_spinner_new();
    self->title = gtk_label_new(NULL);
    gtk_widget_add_css_class(self->title, "numeric");
    gtk_box_append(GTK_BOX(line), self->arrow);
    gtk_box_append(GTK_BOX(line), self->spinner);
    gtk_box_append(GTK_BOX(line), self->title);
    self->toggle = gtk_button_new();
    gtk_button_set_child(GTK_BUTTON(self->toggle), line);
    gtk_widget_add_css_class(self->toggle, "flat");
    gtk_widget_set_halign(self->toggle, GTK_ALIGN_START);
    g_signal_connect_swapped(self->toggle, "clicked", G_CALLBACK(toggled), self);
    gtk_widget_set_parent(self->toggle, widget);
    self->peek = hearth_message_peek_new();
    gtk_widget_set_parent(self->peek, widget);
    self->revealer = gtk_revealer_new();
    gtk_widget_set_parent(self->revealer, widget);
}

/* ---- public -----------------------------------------------------------------------------------*/

GtkWidget *hearth_message_thinking_new(HearthMessage *message, HearthMessageMemo *memo)
{
    HearthMessageThinking *self = g_object_new(HEARTH_TYPE_MESSAGE_THINKING, NULL);
    self->message = g_object_ref(message);
    self->memo = memo;
    hearth_message_thinking_update(self);
    return GTK_WIDGET(self);
}

void hearth_message_thinking_update(HearthMessageThinking *thinking)
{
    HearthMessageThinking *self = thinking;
    bool running = is_running(self);
    gtk_spinner_set_spinning(GTK_SPINNER(self->spinner), running);
    gtk_widget_set_visible(self->spinner, running);
    if (running) {
        size_t len;
        const char *text = hearth_message_get_thinking(self->message, &len);
        hearth_message_peek_set_text(HEARTH_MESSAGE_PEEK(self->peek), text, len);
    }
    update_title(self);
    update_text(self);
    update_fold(self);
    run_clock(self);
}

GtkWidget *hearth_message_thinking_get_text(HearthMessageThinking *thinking)
{
    return thinking->text;
}
