#include "status.h"

#include <glib/gi18n-lib.h>

#include "../flow.h"
#include "words.h"

#define BEAT 500 /* ms that the dot of an answer being written is on or off */

struct _HearthMessageStatus {
    GtkWidget parent_instance;
    HearthApp *app;
    HearthConversation *conversation;
    HearthMessage *message;
    GtkWidget *line, *spinner, *icon, *text, *button, *progress, *dot;
    bool last;
    guint beat;
};

G_DEFINE_TYPE(HearthMessageStatus, hearth_message_status, GTK_TYPE_WIDGET)

/* ---- the one thing to do ----------------------------------------------------------------------*/

/* A context that is as long as the model can take leaves a new conversation. */
static bool can_grow(HearthMessageStatus *self)
{
    HearthWorker *worker = hearth_app_get_worker(self->app);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    int size = 0;
    g_object_get(worker, "context-size", &size, NULL);
    return !info || !size || size < info->context_trained;
}

static const char *action_label(HearthMessageStatus *self, HearthState state)
{
    switch (state) {
    case HEARTH_STATE_QUEUED:
    case HEARTH_STATE_READING: return C_("button", "Stop");
    case HEARTH_STATE_LOADING: return C_("button", "Cancel");
    case HEARTH_STATE_STOPPED:
    case HEARTH_STATE_LENGTH:
    case HEARTH_STATE_INTERRUPTED: return self->last ? C_("button", "Continue") : NULL;
    case HEARTH_STATE_FAILED: return self->last ? C_("button", "Retry") : NULL;
    case HEARTH_STATE_CONTEXT_FULL:
        if (!self->last) return NULL;
        return can_grow(self) ? _("Larger Context…") : _("New Conversation");
    default: return NULL;
    }
}

static void act(HearthMessageStatus *self)
{
    HearthState state = hearth_message_get_state(self->message);
    if (hearth_state_is_running(state))
        hearth_conversation_stop(self->conversation);
    else if (state != HEARTH_STATE_CONTEXT_FULL)
        hearth_conversation_go_on(self->conversation, self->message);
    else
        gtk_widget_activate_action(
            GTK_WIDGET(self), can_grow(self) ? "win.conversation-options" : "win.new-conversation",
            NULL);
}

/* ---- what is shown ----------------------------------------------------------------------------*/

static gboolean beat(void *data)
{
    HearthMessageStatus *self = data;
    bool on = gtk_widget_has_css_class(self->dot, "off");
    if (on)
        gtk_widget_remove_css_class(self->dot, "off");
    else
        gtk_widget_add_css_class(self->dot, "off");
    return G_SOURCE_CONTINUE;
}

/* The dot goes on and off by a clock of its own: a CSS animation would draw 60 frames a second. */
static void run_beat(HearthMessageStatus *self)
{
    gboolean animated = TRUE;
    g_object_get(gtk_widget_get_settings(GTK_WIDGET(self)), "gtk-enable-animations", &animated,
                 NULL);
    bool run = animated && gtk_widget_get_mapped(self->dot);
    if (run && !self->beat) self->beat = g_timeout_add(BEAT, beat, self);
    if (!run) g_clear_handle_id(&self->beat, g_source_remove);
}

static void show_button(HearthMessageStatus *self, HearthState state)
{
    const char *label = action_label(self, state);
    gtk_widget_set_visible(self->button, label != NULL);
    if (label && g_strcmp0(gtk_button_get_label(GTK_BUTTON(self->button)), label))
        gtk_button_set_label(GTK_BUTTON(self->button), label);
    bool idle = !hearth_conversation_is_busy(self->conversation);
    gtk_widget_set_sensitive(self->button, hearth_state_is_running(state) || idle);
}

static const char *icon_name(HearthState state)
{
    switch (state) {
    case HEARTH_STATE_FAILED: return "dialog-error-symbolic";
    case HEARTH_STATE_CONTEXT_FULL:
    case HEARTH_STATE_INTERRUPTED: return "dialog-warning-symbolic";
    case HEARTH_STATE_STOPPED: return "media-playback-stop-symbolic";
    case HEARTH_STATE_LENGTH: return "content-loading-symbolic";
    default: return NULL;
    }
}

static void show_line(HearthMessageStatus *self, HearthState state)
{
    double speed = 0;
    if (state == HEARTH_STATE_LOADING)
        g_object_get(hearth_app_get_worker(self->app), "speed", &speed, NULL);
    g_autofree char *text = hearth_message_words_status(self->message, speed);
    gtk_widget_set_visible(self->line, text != NULL);
    if (!text) return;
    gtk_label_set_text(GTK_LABEL(self->text), text);
    bool running = hearth_state_is_running(state);
    gtk_widget_set_visible(self->spinner, running);
    gtk_spinner_set_spinning(GTK_SPINNER(self->spinner), running);
    const char *icon = icon_name(state);
    gtk_widget_set_visible(self->icon, icon != NULL);
    if (icon) gtk_image_set_from_icon_name(GTK_IMAGE(self->icon), icon);
    bool trouble = state == HEARTH_STATE_FAILED || state == HEARTH_STATE_CONTEXT_FULL;
    if (trouble)
        gtk_widget_add_css_class(self->line, "trouble");
    else
        gtk_widget_remove_css_class(self->line, "trouble");
    show_button(self, state);
}

static void show_progress(HearthMessageStatus *self, HearthState state)
{
    gint64 done = 0, total = 0;
    hearth_message_get_progress(self->message, &done, &total, NULL);
    bool measured = (state == HEARTH_STATE_LOADING || state == HEARTH_STATE_READING) && total > 0;
    gtk_widget_set_visible(self->progress, measured);
    if (measured)
        gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(self->progress),
                                      CLAMP((double)done / total, 0, 1));
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void map(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(hearth_message_status_parent_class)->map(widget);
    run_beat(HEARTH_MESSAGE_STATUS(widget));
}

static void unmap(GtkWidget *widget)
{
    GTK_WIDGET_CLASS(hearth_message_status_parent_class)->unmap(widget);
    run_beat(HEARTH_MESSAGE_STATUS(widget));
}

static void dispose(GObject *object)
{
    HearthMessageStatus *self = HEARTH_MESSAGE_STATUS(object);
    g_clear_handle_id(&self->beat, g_source_remove);
    for (GtkWidget *child; (child = gtk_widget_get_first_child(GTK_WIDGET(self)));)
        gtk_widget_unparent(child);
    g_clear_object(&self->app);
    g_clear_object(&self->conversation);
    g_clear_object(&self->message);
    G_OBJECT_CLASS(hearth_message_status_parent_class)->dispose(object);
}

static void hearth_message_status_class_init(HearthMessageStatusClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    widget_class->map = map;
    widget_class->unmap = unmap;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "status");
}

static void hearth_message_status_init(HearthMessageStatus *self)
{
    GtkWidget *widget = GTK_WIDGET(self);
    gtk_orientable_set_orientation(GTK_ORIENTABLE(gtk_widget_get_layout_manager(widget)),
                                   GTK_ORIENTATION_VERTICAL);
    /* The button goes below a sentence that leaves it no room. */
    self->line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_set_layout_manager(self->line, g_object_new(HEARTH_TYPE_CHAT_FLOW, NULL));
    gtk_widget_add_css_class(self->line, "line");
    self->spinner = gtk_spinner_new();
    self->icon = gtk_image_new();
    gtk_accessible_update_state(GTK_ACCESSIBLE(self->icon), GTK_ACCESSIBLE_STATE_HIDDEN, TRUE, -1);
    self->text = gtk_label_new(NULL);
    gtk_label_set_wrap(GTK_LABEL(self->text), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(self->text), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_natural_wrap_mode(GTK_LABEL(self->text), GTK_NATURAL_WRAP_NONE);
    gtk_label_set_xalign(GTK_LABEL(self->text), 0);
    gtk_widget_add_css_class(self->text, "numeric");
    self->button = gtk_button_new();
    gtk_widget_set_valign(self->button, GTK_ALIGN_CENTER);
    g_signal_connect_swapped(self->button, "clicked", G_CALLBACK(act), self);
    GtkWidget *sentence = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 8);
    gtk_box_append(GTK_BOX(sentence), self->spinner);
    gtk_box_append(GTK_BOX(sentence), self->icon);
    gtk_box_append(GTK_BOX(sentence), self->text);
    gtk_box_append(GTK_BOX(self->line), sentence);
    gtk_box_append(GTK_BOX(self->line), self->button);
    gtk_widget_set_parent(self->line, widget);
    self->progress = gtk_progress_bar_new();
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->progress), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Progress"), -1);
    gtk_widget_set_parent(self->progress, widget);
    self->dot = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(self->dot, "dot");
    gtk_widget_set_halign(self->dot, GTK_ALIGN_START);
    gtk_widget_set_parent(self->dot, widget);
}

/* ---- public -----------------------------------------------------------------------------------*/

GtkWidget *hearth_message_status_new(HearthApp *app, HearthConversation *conversation,
                                     HearthMessage *message)
{
    HearthMessageStatus *self = g_object_new(HEARTH_TYPE_MESSAGE_STATUS, NULL);
    self->app = g_object_ref(app);
    self->conversation = g_object_ref(conversation);
    self->message = g_object_ref(message);
    return GTK_WIDGET(self);
}

void hearth_message_status_update(HearthMessageStatus *status, bool last)
{
    HearthMessageStatus *self = status;
    self->last = last;
    HearthState state = hearth_message_get_state(self->message);
    show_line(self, state);
    show_progress(self, state);
    gtk_widget_set_visible(self->dot, state == HEARTH_STATE_ANSWERING);
    gtk_widget_set_visible(GTK_WIDGET(self),
                           gtk_widget_get_visible(self->line) || gtk_widget_get_visible(self->dot));
    run_beat(self);
}
