#include "view.h"

#include <adwaita.h>
#include <glib/gi18n-lib.h>

#include "../memo.h"
#include "../toast.h"
#include "actions.h"
#include "bubble.h"
#include "editor.h"
#include "markdown/view.h"
#include "status.h"
#include "thinking.h"
#include "words.h"

#define FLASH 1200 /* ms */

/* What is drawn of a text, px from its top. */
typedef struct {
    double from, to;
} Part;

struct _HearthMessageView {
    GtkWidget parent_instance;
    HearthApp *app;
    HearthConversation *conversation;
    HearthMessage *message;
    HearthMessageMemo *memo;
    GtkWidget *bubble, *editor;                  /* of the person's; editor: while editing */
    GtkWidget *model, *thinking, *text, *status; /* of an answer; thinking and text on demand */
    GtkWidget *actions;                          /* when it does not run */
    bool last, named;                            /* named: its first line will not change */
    Part text_part, thinking_part;               /* of the two texts */
    guint update_tick, flash;
};

G_DEFINE_TYPE(HearthMessageView, hearth_message_view, GTK_TYPE_WIDGET)

static bool is_answer(HearthMessageView *self)
{
    return hearth_message_get_role(self->message) == HEARTH_ROLE_ASSISTANT;
}

static bool is_running(HearthMessageView *self)
{
    return hearth_state_is_running(hearth_message_get_state(self->message));
}

/* Children come and go, but in this order. */
static void put(HearthMessageView *self, GtkWidget *child, GtkWidget *after)
{
    gtk_widget_insert_after(child, GTK_WIDGET(self), after);
}

/* ---- what it does -----------------------------------------------------------------------------*/

static void undo_delete(AdwToast *toast, HearthConversation *conversation)
{
    gint64 *id = g_object_get_data(G_OBJECT(toast), "message");
    hearth_conversation_restore_message(conversation, *id);
}

static void delete (HearthMessageView *self)
{
    gint64 id = hearth_message_get_id(self->message);
    AdwToast *toast = adw_toast_new(_("Message deleted"));
    adw_toast_set_button_label(toast, _("Undo"));
    g_object_set_data_full(G_OBJECT(toast), "message", g_memdup2(&id, sizeof(id)), g_free);
    g_signal_connect_object(toast, "button-clicked", G_CALLBACK(undo_delete), self->conversation,
                            0);
    hearth_chat_toast_show(GTK_WIDGET(self), toast);
    hearth_conversation_delete_message(self->conversation, self->message);
}

/* The row may be gone when the conversation returns from what it was told to do. */
static void chosen(GtkWidget *actions G_GNUC_UNUSED, int action, HearthMessageView *view)
{
    g_autoptr(HearthMessageView) self = g_object_ref(view);
    switch ((HearthAction)action) {
    case HEARTH_ACTION_COPY:
        gdk_clipboard_set_text(gtk_widget_get_clipboard(GTK_WIDGET(self)),
                               hearth_message_get_content(self->message, NULL));
        break;
    case HEARTH_ACTION_EDIT: hearth_message_view_edit(self); break;
    case HEARTH_ACTION_REGENERATE:
        hearth_conversation_regenerate(self->conversation, self->message);
        break;
    case HEARTH_ACTION_DELETE: delete (self); break;
    case HEARTH_ACTION_PREVIOUS:
        hearth_conversation_switch_version(self->conversation, self->message, -1);
        break;
    case HEARTH_ACTION_NEXT:
        hearth_conversation_switch_version(self->conversation, self->message, 1);
        break;
    case HEARTH_N_ACTIONS: break;
    }
}

/* ---- editing ----------------------------------------------------------------------------------*/

static void end_edit(HearthMessageView *self)
{
    if (!self->editor) return;
    hearth_conversation_set_edit(self->conversation, hearth_message_get_id(self->message), NULL);
    g_clear_pointer(&self->editor, gtk_widget_unparent);
    gtk_widget_set_visible(self->bubble, TRUE);
    gtk_widget_set_visible(self->actions, TRUE);
    gtk_widget_grab_focus(GTK_WIDGET(self));
}

static void send_edit(HearthMessageView *view)
{
    g_autoptr(HearthMessageView) self = g_object_ref(view);
    g_autofree char *text = hearth_message_editor_get_text(HEARTH_MESSAGE_EDITOR(self->editor));
    end_edit(self);
    if (g_strcmp0(text, hearth_message_get_content(self->message, NULL)))
        hearth_conversation_edit(self->conversation, self->message, text);
}

/* A row that is dropped in mid-edit comes back so, at the next start too. */
static void keep_edit(HearthMessageView *self)
{
    g_autofree char *text = hearth_message_editor_get_text(HEARTH_MESSAGE_EDITOR(self->editor));
    hearth_conversation_set_edit(self->conversation, hearth_message_get_id(self->message), text);
}

static void begin_edit(HearthMessageView *self, const char *text)
{
    self->editor = hearth_message_editor_new(text);
    keep_edit(self);
    g_signal_connect_swapped(self->editor, "changed", G_CALLBACK(keep_edit), self);
    g_signal_connect_swapped(self->editor, "sent", G_CALLBACK(send_edit), self);
    g_signal_connect_swapped(self->editor, "cancelled", G_CALLBACK(end_edit), self);
    hearth_message_editor_set_busy(HEARTH_MESSAGE_EDITOR(self->editor),
                                   hearth_conversation_is_busy(self->conversation));
    put(self, self->editor, self->bubble);
    gtk_widget_set_visible(self->bubble, FALSE);
    gtk_widget_set_visible(self->actions, FALSE);
}

/* ---- what it shows ----------------------------------------------------------------------------*/

static void update_name(HearthMessageView *self)
{
    if (self->named) return;
    const char *content = hearth_message_get_content(self->message, NULL);
    g_autofree char *line = hearth_message_words_first_line(content, &self->named);
    if (!is_running(self)) self->named = true;
    /* Translators: how a screen reader calls a row of the transcript; %s is its first line */
    g_autofree char *name = g_strdup_printf(is_answer(self) ? _("Answer: %s") : _("You: %s"), line);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
}

static void update_thinking(HearthMessageView *self)
{
    size_t len;
    hearth_message_get_thinking(self->message, &len);
    if (!self->thinking) {
        if (!len && hearth_message_get_state(self->message) != HEARTH_STATE_THINKING) return;
        self->thinking = hearth_message_thinking_new(self->message, self->memo);
        put(self, self->thinking, self->model);
    } else {
        hearth_message_thinking_update(HEARTH_MESSAGE_THINKING(self->thinking));
    }
}

static void update_text(HearthMessageView *self)
{
    size_t len;
    const char *content = hearth_message_get_content(self->message, &len);
    if (!self->text) {
        if (!len) return;
        self->text = hearth_markdown_view_new();
        put(self, self->text, self->thinking ? self->thinking : self->model);
    }
    hearth_markdown_view_set_text(HEARTH_MARKDOWN_VIEW(self->text), content, len,
                                  !is_running(self));
}

static void update_model(HearthMessageView *self)
{
    const char *model = hearth_message_get_model(self->message);
    gtk_label_set_text(GTK_LABEL(self->model), model);
    gtk_widget_set_visible(self->model, *model != '\0');
}

static void update_actions(HearthMessageView *self)
{
    bool wanted = !is_running(self);
    if (wanted && !self->actions) {
        self->actions = hearth_message_actions_new(self->app, self->message);
        g_signal_connect(self->actions, "chosen", G_CALLBACK(chosen), self);
        put(self, self->actions, gtk_widget_get_last_child(GTK_WIDGET(self)));
    }
    if (!self->actions) return;
    gtk_widget_set_visible(self->actions, wanted && !self->editor);
    hearth_message_actions_update(HEARTH_MESSAGE_ACTIONS(self->actions),
                                  hearth_conversation_is_busy(self->conversation));
}

static void update(HearthMessageView *self)
{
    if (is_answer(self)) {
        update_model(self);
        update_thinking(self);
        update_text(self);
        hearth_message_status_update(HEARTH_MESSAGE_STATUS(self->status), self->last);
    }
    update_actions(self);
    update_name(self);
}

static gboolean update_now(GtkWidget *widget, GdkFrameClock *clock G_GNUC_UNUSED,
                           void *data G_GNUC_UNUSED)
{
    HearthMessageView *self = HEARTH_MESSAGE_VIEW(widget);
    self->update_tick = 0;
    update(self);
    return G_SOURCE_REMOVE;
}

/* However much changes, the row changes once a frame; and not at all while nobody sees it. */
static void changed(HearthMessageView *self)
{
    if (!self->update_tick && gtk_widget_get_mapped(GTK_WIDGET(self)))
        self->update_tick = gtk_widget_add_tick_callback(GTK_WIDGET(self), update_now, NULL, NULL);
}

static void settings_changed(HearthMessageView *self) { update_actions(self); }

static gboolean end_flash(void *data)
{
    HearthMessageView *self = data;
    self->flash = 0;
    gtk_widget_remove_css_class(GTK_WIDGET(self), "found");
    return G_SOURCE_REMOVE;
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void map(GtkWidget *widget)
{
    update(HEARTH_MESSAGE_VIEW(widget));
    GTK_WIDGET_CLASS(hearth_message_view_parent_class)->map(widget);
}

static void dispose(GObject *object)
{
    HearthMessageView *self = HEARTH_MESSAGE_VIEW(object);
    g_clear_handle_id(&self->flash, g_source_remove);
    for (GtkWidget *child; (child = gtk_widget_get_first_child(GTK_WIDGET(self)));)
        gtk_widget_unparent(child);
    self->editor = NULL;
    if (self->message) g_signal_handlers_disconnect_by_data(self->message, self);
    g_clear_object(&self->message);
    g_clear_object(&self->conversation);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_message_view_parent_class)->dispose(object);
}

static void hearth_message_view_class_init(HearthMessageViewClass *klass)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
    G_OBJECT_CLASS(klass)->dispose = dispose;
    widget_class->map = map;
    gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_css_name(widget_class, "message");
    gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_LIST_ITEM);
}

static void hearth_message_view_init(HearthMessageView *self)
{
    GtkLayoutManager *layout = gtk_widget_get_layout_manager(GTK_WIDGET(self));
    gtk_orientable_set_orientation(GTK_ORIENTABLE(layout), GTK_ORIENTATION_VERTICAL);
    gtk_box_layout_set_spacing(GTK_BOX_LAYOUT(layout), 6);
    gtk_widget_set_focusable(GTK_WIDGET(self), TRUE);
}

/* ---- public -----------------------------------------------------------------------------------*/

static void make_answer(HearthMessageView *self)
{
    gtk_widget_add_css_class(GTK_WIDGET(self), "answer");
    self->model = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(self->model), 0);
    gtk_label_set_ellipsize(GTK_LABEL(self->model), PANGO_ELLIPSIZE_END);
    gtk_widget_add_css_class(self->model, "caption-heading");
    gtk_widget_add_css_class(self->model, "dim-label");
    put(self, self->model, NULL);
    self->status = hearth_message_status_new(self->app, self->conversation, self->message);
    put(self, self->status, self->model);
}

static void make_own(HearthMessageView *self)
{
    gtk_widget_add_css_class(GTK_WIDGET(self), "own");
    self->bubble =
        hearth_message_bubble_new(hearth_message_get_content(self->message, NULL), self->memo);
    put(self, self->bubble, NULL);
}

GtkWidget *hearth_message_view_new(HearthApp *app, HearthConversation *conversation,
                                   HearthMessage *message)
{
    HearthMessageView *self = g_object_new(HEARTH_TYPE_MESSAGE_VIEW, NULL);
    self->app = g_object_ref(app);
    self->conversation = g_object_ref(conversation);
    self->message = g_object_ref(message);
    self->memo =
        hearth_chat_memo_message(hearth_chat_memo_of(conversation), hearth_message_get_id(message));
    if (is_answer(self))
        make_answer(self);
    else
        make_own(self);
    static const char *const properties[] = {"state",    "content", "thinking",
                                             "progress", "version", "n-versions"};
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
        g_autofree char *signal = g_strconcat("notify::", properties[i], NULL);
        g_signal_connect_swapped(message, signal, G_CALLBACK(changed), self);
    }
    g_signal_connect_object(hearth_app_get_settings(app), "changed::show-statistics",
                            G_CALLBACK(settings_changed), self, G_CONNECT_SWAPPED);
    update(self);
    const char *edit = hearth_conversation_get_edit(conversation, hearth_message_get_id(message));
    if (edit) begin_edit(self, edit);
    return GTK_WIDGET(self);
}

HearthMessage *hearth_message_view_get_message(HearthMessageView *view) { return view->message; }

void hearth_message_view_set_last(HearthMessageView *view, bool last)
{
    view->last = last;
    if (last)
        gtk_widget_add_css_class(GTK_WIDGET(view), "last");
    else
        gtk_widget_remove_css_class(GTK_WIDGET(view), "last");
    if (view->status) hearth_message_status_update(HEARTH_MESSAGE_STATUS(view->status), last);
    update_actions(view);
    if (view->editor)
        hearth_message_editor_set_busy(HEARTH_MESSAGE_EDITOR(view->editor),
                                       hearth_conversation_is_busy(view->conversation));
}

/* With a margin on both sides, and anew only when the view comes near its end: most scrolling then
 * draws nothing anew. */
static void show_part(HearthMessageView *self, GtkWidget *text, Part *part, double from, double to)
{
    graphene_rect_t at;
    if (!text || !gtk_widget_compute_bounds(text, GTK_WIDGET(self), &at)) return;
    double margin = (to - from) / 2;
    from -= at.origin.y;
    to -= at.origin.y;
    bool within = from >= part->from && to <= part->to;
    if (within && part->to - part->from < 4 * (to - from)) return;
    *part = (Part){from - margin, to + margin};
    hearth_markdown_stack_set_shown(HEARTH_MARKDOWN_STACK(text), (int)part->from, (int)part->to);
}

void hearth_message_view_set_shown(HearthMessageView *view, double from, double to)
{
    show_part(view, view->text, &view->text_part, from, to);
    if (!view->thinking) return;
    HearthMessageThinking *thinking = HEARTH_MESSAGE_THINKING(view->thinking);
    show_part(view, hearth_message_thinking_get_text(thinking), &view->thinking_part, from, to);
}

void hearth_message_view_edit(HearthMessageView *view)
{
    if (!view->bubble || !view->actions) return;
    if (!view->editor) begin_edit(view, hearth_message_get_content(view->message, NULL));
    gtk_widget_grab_focus(view->editor);
}

bool hearth_message_view_is_editing(HearthMessageView *view) { return view->editor != NULL; }

int hearth_message_view_get_focused_action(HearthMessageView *view)
{
    return view->actions ? hearth_message_actions_get_focused(HEARTH_MESSAGE_ACTIONS(view->actions))
                         : -1;
}

void hearth_message_view_focus(HearthMessageView *view, int action)
{
    if (action < 0 || !view->actions ||
        !hearth_message_actions_focus(HEARTH_MESSAGE_ACTIONS(view->actions), action))
        gtk_widget_grab_focus(GTK_WIDGET(view));
}

void hearth_message_view_flash(HearthMessageView *view)
{
    gtk_widget_add_css_class(GTK_WIDGET(view), "found");
    g_clear_handle_id(&view->flash, g_source_remove);
    view->flash = g_timeout_add(FLASH, end_flash, view);
}
