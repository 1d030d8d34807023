#include "chat_view.h"

#include <adwaita.h>
#include <glib/gi18n-lib.h>

#include "composer/composer.h"
#include "focus.h"
#include "markdown/code.h"
#include "toast.h"
#include "transcript.h"
#include "welcome.h"

struct _HearthChatView {
    GtkWidget parent_instance;
    GtkWidget *pages, *welcome, *transcript, *failed, *waiting, *composer;
    HearthApp *app;
    HearthConversation *conversation;
    gint64 wanted; /* a message to show when it is there; 0 = none */
};

G_DEFINE_TYPE(HearthChatView, hearth_chat_view, GTK_TYPE_WIDGET)

/* ---- pages ------------------------------------------------------------------------------------*/

static void show_wanted(HearthChatView *self)
{
    if (!self->wanted || !self->conversation || !hearth_conversation_is_loaded(self->conversation))
        return;
    gint64 message = self->wanted;
    self->wanted = 0;
    hearth_chat_transcript_show_message(HEARTH_CHAT_TRANSCRIPT(self->transcript), message);
}

/* Assistive technology sees the other pages of a stack too, unless they are invisible. */
static void turn_to(HearthChatView *self, GtkWidget *page)
{
    gtk_widget_set_visible(page, TRUE);
    gtk_stack_set_visible_child(GTK_STACK(self->pages), page);
    for (GtkWidget *one = gtk_widget_get_first_child(self->pages); one;
         one = gtk_widget_get_next_sibling(one))
        gtk_widget_set_visible(one, one == page);
}

static void show_page(HearthChatView *self)
{
    GtkWidget *page = self->waiting;
    if (self->conversation && hearth_conversation_is_loaded(self->conversation)) {
        bool empty = g_list_model_get_n_items(G_LIST_MODEL(self->conversation)) == 0;
        page = empty ? self->welcome : self->transcript;
    }
    turn_to(self, page);
    show_wanted(self);
}

static void loading_failed(HearthChatView *self, const char *sentence)
{
    g_autofree char *escaped = g_markup_escape_text(sentence, -1);
    adw_status_page_set_description(ADW_STATUS_PAGE(self->failed), escaped);
    turn_to(self, self->failed);
}

static void load_again(HearthChatView *self)
{
    turn_to(self, self->waiting);
    if (self->conversation) hearth_conversation_set_shown(self->conversation, true);
}

/* ---- what the parts ask for -------------------------------------------------------------------*/

static void asked(HearthChatView *self, const char *question)
{
    if (!self->conversation) return;
    /* Sending clears the draft; this one is not what is sent, and stays in the composer. */
    g_autofree char *draft = g_strdup(hearth_conversation_get_draft(self->conversation));
    hearth_conversation_send(self->conversation, question);
    hearth_conversation_set_draft(self->conversation, draft);
    gtk_widget_grab_focus(self->composer);
}

static void sent(HearthChatView *self)
{
    hearth_chat_transcript_go_to_end(HEARTH_CHAT_TRANSCRIPT(self->transcript));
}

static gboolean edit_last(HearthChatView *self)
{
    return hearth_chat_transcript_edit_last(HEARTH_CHAT_TRANSCRIPT(self->transcript));
}

static gboolean scroll(HearthChatView *self, guint keyval)
{
    return hearth_chat_transcript_scroll(HEARTH_CHAT_TRANSCRIPT(self->transcript), keyval);
}

static void said(HearthChatView *self, const char *sentence)
{
    if (self->pages) hearth_chat_toast_say(self->pages, sentence);
}

static gboolean copy_last(GtkWidget *widget, GVariant *args G_GNUC_UNUSED, void *data G_GNUC_UNUSED)
{
    hearth_chat_view_copy_last_answer(HEARTH_CHAT_VIEW(widget));
    return TRUE;
}

/* A model is for the application to open; all else is a text to ask about. */
static void take_file(HearthChatView *self, GFile *file)
{
    g_autofree char *name = g_file_get_basename(file);
    g_autofree char *folded = name ? g_ascii_strdown(name, -1) : NULL;
    GApplication *application = g_application_get_default();
    if (folded && application && g_str_has_suffix(folded, ".gguf"))
        g_application_open(application, &file, 1, "");
    else
        hearth_chat_view_attach(self, file);
}

static gboolean dropped(GtkDropTarget *target G_GNUC_UNUSED, const GValue *value,
                        double x G_GNUC_UNUSED, double y G_GNUC_UNUSED, HearthChatView *self)
{
    if (!G_VALUE_HOLDS(value, GDK_TYPE_FILE_LIST)) return FALSE;
    g_autoptr(GSList) files = gdk_file_list_get_files(g_value_get_boxed(value));
    for (GSList *file = files; file; file = file->next) take_file(self, file->data);
    gtk_widget_grab_focus(self->composer);
    return TRUE;
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static gboolean grab_focus(GtkWidget *widget)
{
    return gtk_widget_grab_focus(HEARTH_CHAT_VIEW(widget)->composer);
}

static void dispose(GObject *object)
{
    HearthChatView *self = HEARTH_CHAT_VIEW(object);
    if (self->pages) hearth_chat_view_set_conversation(self, NULL);
    self->pages = NULL;
    for (GtkWidget *child; (child = gtk_widget_get_first_child(GTK_WIDGET(self)));)
        gtk_widget_unparent(child);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_chat_view_parent_class)->dispose(object);
}

static void hearth_chat_view_class_init(HearthChatViewClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    widget_class->grab_focus = grab_focus;
    widget_class->focus = hearth_chat_focus_move;
    gtk_widget_class_add_binding(widget_class, GDK_KEY_c, GDK_CONTROL_MASK | GDK_SHIFT_MASK,
                                 copy_last, NULL);
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "chatview");
}

static GtkWidget *make_failed(HearthChatView *self)
{
    GtkWidget *again = gtk_button_new_with_mnemonic(_("_Try Again"));
    gtk_widget_add_css_class(again, "pill");
    gtk_widget_set_halign(again, GTK_ALIGN_CENTER);
    g_signal_connect_swapped(again, "clicked", G_CALLBACK(load_again), self);
    self->failed = adw_status_page_new();
    adw_status_page_set_icon_name(ADW_STATUS_PAGE(self->failed), "dialog-error-symbolic");
    adw_status_page_set_title(ADW_STATUS_PAGE(self->failed),
                              _("The Conversation Could Not Be Read"));
    adw_status_page_set_child(ADW_STATUS_PAGE(self->failed), again);
    return self->failed;
}

static void add_drop_target(HearthChatView *self)
{
    /* Before the text view, which would take the files' names as text. */
    GtkDropTarget *target = gtk_drop_target_new(GDK_TYPE_FILE_LIST, GDK_ACTION_COPY);
    gtk_event_controller_set_propagation_phase(GTK_EVENT_CONTROLLER(target), GTK_PHASE_CAPTURE);
    g_signal_connect(target, "drop", G_CALLBACK(dropped), self);
    gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(target));
}

static void hearth_chat_view_init(HearthChatView *self)
{
    GtkLayoutManager *layout = gtk_widget_get_layout_manager(GTK_WIDGET(self));
    gtk_orientable_set_orientation(GTK_ORIENTABLE(layout), GTK_ORIENTATION_VERTICAL);
    self->pages = gtk_stack_new();
    gtk_stack_set_hhomogeneous(GTK_STACK(self->pages), FALSE);
    gtk_stack_set_vhomogeneous(GTK_STACK(self->pages), FALSE);
    /* Toasts of what is in here appear above the composer, not over it. */
    GtkWidget *toasts = adw_toast_overlay_new();
    adw_toast_overlay_set_child(ADW_TOAST_OVERLAY(toasts), self->pages);
    gtk_widget_set_vexpand(toasts, TRUE);
    gtk_widget_set_parent(toasts, GTK_WIDGET(self));
    add_drop_target(self);
}

/* ---- public -----------------------------------------------------------------------------------*/

GtkWidget *hearth_chat_view_new(HearthApp *app)
{
    HearthChatView *self = g_object_new(HEARTH_TYPE_CHAT_VIEW, NULL);
    self->app = g_object_ref(app);
    hearth_markdown_code_set_settings(hearth_app_get_settings(app));
    self->waiting = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_stack_add_child(GTK_STACK(self->pages), self->waiting);
    self->welcome = hearth_chat_welcome_new(app);
    gtk_stack_add_child(GTK_STACK(self->pages), self->welcome);
    self->transcript = hearth_chat_transcript_new(app);
    gtk_stack_add_child(GTK_STACK(self->pages), self->transcript);
    gtk_stack_add_child(GTK_STACK(self->pages), make_failed(self));
    self->composer = hearth_chat_composer_new(app);
    gtk_widget_set_parent(self->composer, GTK_WIDGET(self));
    g_signal_connect_swapped(self->welcome, "asked", G_CALLBACK(asked), self);
    g_signal_connect_swapped(self->composer, "sent", G_CALLBACK(sent), self);
    /* A file that is being read keeps the composer longer than its window. */
    g_signal_connect_object(self->composer, "said", G_CALLBACK(said), self, G_CONNECT_SWAPPED);
    g_signal_connect_swapped(self->composer, "edit-last", G_CALLBACK(edit_last), self);
    g_signal_connect_swapped(self->composer, "scroll", G_CALLBACK(scroll), self);
    return GTK_WIDGET(self);
}

void hearth_chat_view_set_conversation(HearthChatView *view, HearthConversation *conversation)
{
    HearthChatView *self = view;
    if (conversation && conversation == self->conversation) return;
    g_autoptr(HearthConversation) before = g_steal_pointer(&self->conversation);
    if (before) g_signal_handlers_disconnect_by_data(before, self);
    self->wanted = 0;
    self->conversation = conversation ? g_object_ref(conversation) : NULL;
    hearth_chat_transcript_set_conversation(HEARTH_CHAT_TRANSCRIPT(self->transcript), conversation);
    hearth_chat_composer_set_conversation(HEARTH_CHAT_COMPOSER(self->composer), conversation);
    if (before) hearth_conversation_set_shown(before, false);
    show_page(self);
    if (!conversation) return;
    g_signal_connect_swapped(conversation, "items-changed", G_CALLBACK(show_page), self);
    g_signal_connect_swapped(conversation, "notify::loaded", G_CALLBACK(show_page), self);
    g_signal_connect_swapped(conversation, "failed", G_CALLBACK(loading_failed), self);
    hearth_conversation_set_shown(conversation, true);
}

void hearth_chat_view_show_message(HearthChatView *view, gint64 message)
{
    view->wanted = message;
    show_wanted(view);
}

void hearth_chat_view_copy_last_answer(HearthChatView *view)
{
    GListModel *messages = view->conversation ? G_LIST_MODEL(view->conversation) : NULL;
    for (guint i = messages ? g_list_model_get_n_items(messages) : 0; i-- > 0;) {
        g_autoptr(HearthMessage) message = g_list_model_get_item(messages, i);
        const char *content = hearth_message_get_content(message, NULL);
        if (hearth_message_get_role(message) != HEARTH_ROLE_ASSISTANT || !*content) continue;
        gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(view)), content);
        hearth_chat_toast_say(view->pages, _("Answer copied"));
        return;
    }
}

void hearth_chat_view_attach(HearthChatView *view, GFile *file)
{
    hearth_chat_composer_attach(HEARTH_CHAT_COMPOSER(view->composer), file);
}
