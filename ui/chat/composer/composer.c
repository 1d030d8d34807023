#include "composer.h"

#include <adwaita.h>
#include <glib/gi18n-lib.h>

#include "attachment.h"
#include "chip.h"
#include "../focus.h"
#include "../measure.h"
#include "compat.h"
#include "counter.h"
#include "../flow.h"
#include "field.h"
#include "../memo.h"

#define BESIDE 12         /* px by which it is wider than the messages, on each side */
#define REBOUND_US 400000 /* a second click of a double click on Send is not meant for Stop */

struct _HearthChatComposer {
    GtkWidget parent_instance;
    GtkWidget *clamp, *card, *chips, *attach, *field, *tokens, *send;
    HearthApp *app;
    HearthConversation *conversation;
    HearthChatMemo *memo; /* of the conversation */
    HearthChatCounter *counter;
    gint64 clicked_send;
    bool busy; /* the button is Stop */
};

enum { SENT, SAID, EDIT_LAST, SCROLL, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE(HearthChatComposer, hearth_chat_composer, GTK_TYPE_WIDGET)

/* ---- the message ------------------------------------------------------------------------------*/

/* At the beginning and at the end; the first line may begin with blanks that mean something. */
static const char *without_blank_lines(char *text)
{
    const char *begin = g_strchomp(text);
    for (const char *at = begin; g_ascii_isspace(*at); at++)
        if (*at == '\n') begin = at + 1;
    return begin;
}

/* Text, then the files: the first line is what names the conversation. */
static char *get_prompt(HearthChatComposer *self)
{
    g_autofree char *text = hearth_chat_field_get_text(HEARTH_CHAT_FIELD(self->field));
    GString *prompt = g_string_new(without_blank_lines(text));
    const GPtrArray *attachments = hearth_conversation_get_attachments(self->conversation);
    for (guint i = 0; i < attachments->len; i++) {
        const HearthUnsentRow *row = attachments->pdata[i];
        hearth_attachment_append(row->name, row->content, prompt);
    }
    return g_string_free(prompt, FALSE);
}

static bool is_empty(HearthChatComposer *self)
{
    return !self->memo || gtk_text_buffer_get_char_count(self->memo->buffer) == 0;
}

/* Nothing but blanks is nothing to send. */
static bool has_message(HearthChatComposer *self)
{
    if (!self->memo) return false;
    if (hearth_conversation_get_attachments(self->conversation)->len) return true;
    GtkTextIter at;
    gtk_text_buffer_get_start_iter(self->memo->buffer, &at);
    while (!gtk_text_iter_is_end(&at)) {
        if (!g_unichar_isspace(gtk_text_iter_get_char(&at))) return true;
        gtk_text_iter_forward_char(&at);
    }
    return false;
}

/* ---- what is shown ----------------------------------------------------------------------------*/

static void update_button(HearthChatComposer *self)
{
    bool busy = self->conversation && hearth_conversation_is_busy(self->conversation);
    /* The cursor stands still while an answer is written: blinking, it would draw more frames than
     * the answer does, for ten seconds from the last key on. */
    if (busy != self->busy) hearth_chat_field_set_blinks(HEARTH_CHAT_FIELD(self->field), !busy);
    self->busy = busy;
    const char *name = busy ? C_("button", "Stop") : C_("button", "Send");
    gtk_button_set_icon_name(GTK_BUTTON(self->send),
                             busy ? "media-playback-stop-symbolic" : "go-up-symbolic");
    gtk_widget_set_tooltip_text(self->send, name);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->send), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                   -1);
    if (busy)
        gtk_widget_remove_css_class(self->send, "suggested-action");
    else
        gtk_widget_add_css_class(self->send, "suggested-action");
    gtk_widget_set_sensitive(self->send, busy || has_message(self));
}

static void changed(HearthChatComposer *self)
{
    gtk_widget_set_sensitive(self->send, self->busy || has_message(self));
    hearth_chat_counter_wake(self->counter);
}

static void typed(HearthChatComposer *self)
{
    g_autofree char *text = hearth_chat_field_get_text(HEARTH_CHAT_FIELD(self->field));
    hearth_conversation_set_draft(self->conversation, text);
    changed(self);
}

/* ---- attachments ------------------------------------------------------------------------------*/

static void remove_attachment(HearthChatComposer *self, gint64 id)
{
    hearth_conversation_detach(self->conversation, id);
    gtk_widget_grab_focus(self->field);
}

static void show_chips(HearthChatComposer *self)
{
    for (GtkWidget *chip; (chip = gtk_widget_get_first_child(self->chips));)
        gtk_box_remove(GTK_BOX(self->chips), chip);
    const GPtrArray *attachments =
        self->conversation ? hearth_conversation_get_attachments(self->conversation) : NULL;
    guint n = attachments ? attachments->len : 0;
    for (guint i = 0; i < n; i++) {
        GtkWidget *chip = hearth_chat_chip_new(attachments->pdata[i]);
        g_signal_connect_swapped(chip, "removed", G_CALLBACK(remove_attachment), self);
        gtk_box_append(GTK_BOX(self->chips), chip);
    }
    gtk_widget_set_visible(self->chips, n > 0);
    changed(self);
}

typedef struct {
    HearthChatComposer *composer;
    HearthConversation *conversation; /* the one that was shown when the file was chosen */
} Attaching;

static void attached(GObject *source G_GNUC_UNUSED, GAsyncResult *result, void *data)
{
    Attaching *to = data;
    g_autoptr(HearthChatComposer) self = to->composer;
    g_autoptr(HearthConversation) conversation = to->conversation;
    g_free(to);
    g_autoptr(GError) error = NULL;
    g_autoptr(HearthAttachment) attachment = hearth_attachment_read_finish(result, &error);
    if (attachment)
        hearth_conversation_attach(conversation, attachment->name, attachment->text);
    else
        g_signal_emit(self, signals[SAID], 0, error->message);
}

static void file_chosen(GFile *file, gpointer data)
{
    if (file) hearth_chat_composer_attach(data, file);
}

static void choose_files(HearthChatComposer *self)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(self));
    hearth_compat_open_file(GTK_WINDOW(root), _("Attach a Text File"), NULL, file_chosen,
                            g_object_ref(self), g_object_unref);
}

/* ---- sending ----------------------------------------------------------------------------------*/

static void clear(HearthChatComposer *self)
{
    hearth_conversation_detach(self->conversation, 0);
    /* Undoable: what was sent by mistake comes back with Ctrl+Z. */
    GtkTextIter begin, end;
    gtk_text_buffer_get_bounds(self->memo->buffer, &begin, &end);
    gtk_text_buffer_begin_user_action(self->memo->buffer);
    gtk_text_buffer_delete(self->memo->buffer, &begin, &end);
    gtk_text_buffer_end_user_action(self->memo->buffer);
    changed(self);
}

static void send(HearthChatComposer *self)
{
    if (!self->conversation || !has_message(self)) return;
    if (hearth_conversation_is_busy(self->conversation)) {
        g_signal_emit(self, signals[SAID], 0, _("An answer is being written"));
        return;
    }
    g_autofree char *prompt = get_prompt(self);
    clear(self);
    hearth_conversation_send(self->conversation, prompt);
    g_signal_emit(self, signals[SENT], 0);
}

static void send_clicked(HearthChatComposer *self)
{
    gint64 now = g_get_monotonic_time();
    if (!self->busy) {
        self->clicked_send = now;
        send(self);
    } else if (now - self->clicked_send > REBOUND_US) {
        hearth_conversation_stop(self->conversation);
    }
    gtk_widget_grab_focus(self->field);
}

/* ---- keys -------------------------------------------------------------------------------------*/

/* Keys for which the field has no use go to the transcript. */
static gboolean key_pressed(HearthChatComposer *self, guint keyval, GdkModifierType modifiers)
{
    gboolean used = GDK_EVENT_PROPAGATE;
    bool page = keyval == GDK_KEY_Page_Up || keyval == GDK_KEY_Page_Down ||
                keyval == GDK_KEY_KP_Page_Up || keyval == GDK_KEY_KP_Page_Down;
    if (!self->conversation || (modifiers & ~GDK_CONTROL_MASK) || (modifiers && page)) return used;
    if (keyval == GDK_KEY_Up && is_empty(self) && !modifiers)
        g_signal_emit(self, signals[EDIT_LAST], 0, &used);
    else if (is_empty(self) || (page && hearth_chat_field_fits(HEARTH_CHAT_FIELD(self->field))))
        g_signal_emit(self, signals[SCROLL], 0, keyval, &used);
    return used;
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void draft_changed(HearthChatComposer *self)
{
    g_autofree char *text = hearth_chat_field_get_text(HEARTH_CHAT_FIELD(self->field));
    const char *draft = hearth_conversation_get_draft(self->conversation);
    if (g_strcmp0(text, draft)) gtk_text_buffer_set_text(self->memo->buffer, draft, -1);
}

static void fit(HearthChatComposer *self)
{
    int width = hearth_chat_measure_column(GTK_WIDGET(self)) + 2 * BESIDE;
    adw_clamp_set_maximum_size(ADW_CLAMP(self->clamp), width);
    adw_clamp_set_tightening_threshold(ADW_CLAMP(self->clamp), width);
}

static void map(GtkWidget *widget)
{
    fit(HEARTH_CHAT_COMPOSER(widget));
    GTK_WIDGET_CLASS(hearth_chat_composer_parent_class)->map(widget);
}

static void system_setting_changed(GtkWidget *widget, GtkSystemSetting setting)
{
    GTK_WIDGET_CLASS(hearth_chat_composer_parent_class)->system_setting_changed(widget, setting);
    if (setting == GTK_SYSTEM_SETTING_DPI || setting == GTK_SYSTEM_SETTING_FONT_NAME)
        fit(HEARTH_CHAT_COMPOSER(widget));
}

static gboolean grab_focus(GtkWidget *widget)
{
    return gtk_widget_grab_focus(HEARTH_CHAT_COMPOSER(widget)->field);
}

static void dispose(GObject *object)
{
    HearthChatComposer *self = HEARTH_CHAT_COMPOSER(object);
    if (self->field) hearth_chat_composer_set_conversation(self, NULL);
    self->field = NULL;
    g_clear_pointer(&self->counter, hearth_chat_counter_free);
    g_clear_pointer(&self->clamp, gtk_widget_unparent);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_chat_composer_parent_class)->dispose(object);
}

static void bind_children(GtkWidgetClass *widget_class)
{
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, clamp);
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, card);
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, chips);
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, attach);
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, field);
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, tokens);
    gtk_widget_class_bind_template_child(widget_class, HearthChatComposer, send);
    gtk_widget_class_bind_template_callback(widget_class, choose_files);
    gtk_widget_class_bind_template_callback(widget_class, key_pressed);
    gtk_widget_class_bind_template_callback(widget_class, send);
    gtk_widget_class_bind_template_callback(widget_class, send_clicked);
}

static void hearth_chat_composer_class_init(HearthChatComposerClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    widget_class->map = map;
    widget_class->system_setting_changed = system_setting_changed;
    widget_class->grab_focus = grab_focus;
    widget_class->focus = hearth_chat_focus_move;
    signals[SENT] = g_signal_new("sent", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 0);
    signals[SAID] = g_signal_new("said", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    signals[EDIT_LAST] =
        g_signal_new("edit-last", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
                     g_signal_accumulator_true_handled, NULL, NULL, G_TYPE_BOOLEAN, 0);
    signals[SCROLL] =
        g_signal_new("scroll", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
                     g_signal_accumulator_true_handled, NULL, NULL, G_TYPE_BOOLEAN, 1, G_TYPE_UINT);
    g_type_ensure(HEARTH_TYPE_CHAT_FLOW);
    g_type_ensure(HEARTH_TYPE_CHAT_FIELD);
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hearth_ai/Hearth/chat/composer.ui");
    bind_children(widget_class);
    gtk_widget_class_set_css_name(widget_class, "composer");
}

static void hearth_chat_composer_init(HearthChatComposer *self)
{
    gtk_widget_init_template(GTK_WIDGET(self));
    update_button(self);
}

/* ---- public -----------------------------------------------------------------------------------*/

static char *prompt_to_count(void *data)
{
    HearthChatComposer *self = data;
    return has_message(self) ? get_prompt(self) : NULL;
}

GtkWidget *hearth_chat_composer_new(HearthApp *app)
{
    HearthChatComposer *self = g_object_new(HEARTH_TYPE_CHAT_COMPOSER, NULL);
    self->app = g_object_ref(app);
    self->counter = hearth_chat_counter_new(hearth_app_get_worker(app), GTK_LABEL(self->tokens),
                                            prompt_to_count, self);
    return GTK_WIDGET(self);
}

void hearth_chat_composer_set_conversation(HearthChatComposer *composer,
                                           HearthConversation *conversation)
{
    HearthChatComposer *self = composer;
    if (self->conversation) {
        g_signal_handlers_disconnect_by_data(self->memo->buffer, self);
        g_signal_handlers_disconnect_by_data(self->conversation, self);
    }
    g_set_object(&self->conversation, conversation);
    self->memo = conversation ? hearth_chat_memo_of(conversation) : NULL;
    hearth_chat_field_set_buffer(HEARTH_CHAT_FIELD(self->field),
                                 self->memo ? self->memo->buffer : NULL);
    gtk_widget_set_sensitive(self->card, conversation != NULL);
    if (conversation) {
        g_signal_connect_swapped(self->memo->buffer, "changed", G_CALLBACK(typed), self);
        g_signal_connect_swapped(conversation, "notify::busy", G_CALLBACK(update_button), self);
        g_signal_connect_swapped(conversation, "notify::draft", G_CALLBACK(draft_changed), self);
        g_signal_connect_swapped(conversation, "notify::n-attachments", G_CALLBACK(show_chips),
                                 self);
    }
    show_chips(self);
    update_button(self);
}

void hearth_chat_composer_attach(HearthChatComposer *composer, GFile *file)
{
    if (!composer->conversation) return;
    Attaching *to = g_new(Attaching, 1);
    to->composer = g_object_ref(composer);
    to->conversation = g_object_ref(composer->conversation);
    hearth_attachment_read_async(file, NULL, attached, to);
}
