#include "transcript.h"

#include <glib/gi18n-lib.h>

#include "column.h"
#include "memo.h"
#include "message/view.h"

#define BATCH 6        /* rows added in a frame */
#define NEAR 1.5       /* views: rows are there this far from what is in view … */
#define FAR 4.0        /* … and are dropped beyond this */
#define KEPT 40        /* that many rows are never too many */
#define REBUILD 60     /* a change of more rows begins anew */
#define BUTTON_FROM 48 /* px from the end at which the button appears */

struct _HearthChatTranscript {
    GtkWidget parent_instance;
    GtkWidget *overlay, *column, *jump, *jump_dot;
    HearthApp *app;
    HearthConversation *conversation;
    HearthMessage *running; /* whose text is followed */
    guint first;            /* index of the first row's message */
    guint n_items;          /* as of the last change that was heard of */
};

G_DEFINE_TYPE(HearthChatTranscript, hearth_chat_transcript, GTK_TYPE_WIDGET)

static HearthChatColumn *column_of(HearthChatTranscript *self)
{
    return HEARTH_CHAT_COLUMN(self->column);
}

static guint n_rows(HearthChatTranscript *self)
{
    return hearth_chat_column_get_n_rows(column_of(self));
}

static HearthMessageView *row_at(HearthChatTranscript *self, guint i)
{
    return HEARTH_MESSAGE_VIEW(hearth_chat_column_get_row(column_of(self), i));
}

/* ---- rows -------------------------------------------------------------------------------------*/

/* `kept`: message → row that was taken out in the same change, or NULL. */
static void add_row(HearthChatTranscript *self, guint item, guint row, GHashTable *kept)
{
    g_autoptr(HearthMessage) message =
        g_list_model_get_item(G_LIST_MODEL(self->conversation), item);
    GtkWidget *widget = kept ? g_hash_table_lookup(kept, message) : NULL;
    if (!widget) widget = hearth_message_view_new(self->app, self->conversation, message);
    hearth_chat_column_insert(column_of(self), widget, row);
}

static void drop_row(HearthChatTranscript *self, guint row, GHashTable *kept)
{
    HearthMessageView *view = row_at(self, row);
    if (kept) g_hash_table_insert(kept, hearth_message_view_get_message(view), g_object_ref(view));
    hearth_chat_column_remove(column_of(self), row);
}

static void drop_all(HearthChatTranscript *self, GHashTable *kept)
{
    while (n_rows(self)) drop_row(self, n_rows(self) - 1, kept);
}

static void tell_end(HearthChatTranscript *self)
{
    hearth_chat_column_set_more_below(column_of(self), self->first + n_rows(self) < self->n_items);
}

/* The rows around `item`, with its top at y; item == n_items: the last ones. */
static void build(HearthChatTranscript *self, guint item, double y, GHashTable *kept)
{
    guint before = item < self->n_items ? BATCH / 2 : BATCH;
    guint begin = item > before ? item - before : 0;
    guint end = MIN(item + 2 * BATCH, self->n_items); /* that fills most windows at once */
    self->first = begin;
    for (guint i = begin; i < end; i++) add_row(self, i, i - begin, kept);
    tell_end(self);
    if (item >= self->n_items) {
        hearth_chat_column_hold_end(column_of(self));
    } else {
        GtkWidget *row = hearth_chat_column_get_row(column_of(self), item - begin);
        hearth_chat_column_hold(column_of(self), row, y);
    }
}

static void update_rows(HearthChatTranscript *self)
{
    for (guint i = 0; i < n_rows(self); i++)
        hearth_message_view_set_last(row_at(self, i), self->first + i + 1 == self->n_items);
}

/* Index of a message in the conversation, or n_items. */
static guint find(HearthChatTranscript *self, gint64 id)
{
    for (guint i = self->n_items; i-- > 0;) {
        g_autoptr(HearthMessage) message =
            g_list_model_get_item(G_LIST_MODEL(self->conversation), i);
        if (hearth_message_get_id(message) == id) return i;
    }
    return self->n_items;
}

/* ---- the place --------------------------------------------------------------------------------*/

static void keep_place(HearthChatTranscript *self)
{
    HearthChatMemo *memo = hearth_chat_memo_of(self->conversation);
    double y = 0;
    GtkWidget *row = hearth_chat_column_get_place(column_of(self), &y);
    memo->place =
        row ? hearth_message_get_id(hearth_message_view_get_message(HEARTH_MESSAGE_VIEW(row))) : 0;
    memo->place_y = y;
}

static void build_at_place(HearthChatTranscript *self, GHashTable *kept)
{
    HearthChatMemo *memo = hearth_chat_memo_of(self->conversation);
    build(self, memo->place ? find(self, memo->place) : self->n_items, memo->place_y, kept);
}

/* ---- the window -------------------------------------------------------------------------------*/

static bool wants_above(HearthChatTranscript *self, double page)
{
    double above, below;
    hearth_chat_column_get_hidden(column_of(self), &above, &below);
    return above < NEAR * page && self->first > 0;
}

static bool wants_below(HearthChatTranscript *self, double page)
{
    double above, below;
    hearth_chat_column_get_hidden(column_of(self), &above, &below);
    return below < NEAR * page && self->first + n_rows(self) < self->n_items;
}

static bool add_near(HearthChatTranscript *self, double page)
{
    if (wants_above(self, page)) {
        for (int i = 0; i < BATCH && self->first > 0; i++) add_row(self, --self->first, 0, NULL);
        return true;
    }
    if (!wants_below(self, page)) return false;
    for (int i = 0; i < BATCH && self->first + n_rows(self) < self->n_items; i++)
        add_row(self, self->first + n_rows(self), n_rows(self), NULL);
    tell_end(self);
    return true;
}

static bool may_drop(HearthChatTranscript *self, guint row)
{
    HearthMessageView *view = row_at(self, row);
    return !hearth_message_view_is_editing(view) && !gtk_widget_get_focus_child(GTK_WIDGET(view)) &&
           !gtk_widget_has_focus(GTK_WIDGET(view));
}

static bool drop_far(HearthChatTranscript *self, double page)
{
    bool dropped = false;
    for (double above, below; n_rows(self) > KEPT; dropped = true) {
        hearth_chat_column_get_outside(column_of(self), 0, &above, &below);
        if (above < FAR * page || !may_drop(self, 0)) break;
        drop_row(self, 0, NULL);
        self->first++;
    }
    for (double above, below; n_rows(self) > KEPT; dropped = true) {
        guint last = n_rows(self) - 1;
        hearth_chat_column_get_outside(column_of(self), last, &above, &below);
        if (below < FAR * page || !may_drop(self, last)) break;
        drop_row(self, last, NULL);
        tell_end(self);
    }
    return dropped;
}

/* Far enough from the end for the button that leads there. */
static bool is_away(HearthChatTranscript *self)
{
    double above, below;
    hearth_chat_column_get_hidden(column_of(self), &above, &below);
    return !hearth_chat_column_is_at_end(column_of(self)) && n_rows(self) &&
           (below > BUTTON_FROM || self->first + n_rows(self) < self->n_items);
}

static void show_jump(HearthChatTranscript *self)
{
    bool away = is_away(self);
    if (away) gtk_widget_set_visible(self->jump, TRUE);
    gtk_revealer_set_reveal_child(GTK_REVEALER(self->jump), away);
    gtk_widget_set_can_target(self->jump, away);
    if (hearth_chat_column_is_at_end(column_of(self)))
        gtk_widget_set_visible(self->jump_dot, FALSE);
}

/* Mostly: while an answer is written a frame for nothing would follow each one with new text. */
static bool is_settled(HearthChatTranscript *self)
{
    int page = gtk_widget_get_height(self->column);
    bool jump = gtk_revealer_get_reveal_child(GTK_REVEALER(self->jump));
    bool dot = gtk_widget_get_visible(self->jump_dot);
    return n_rows(self) <= KEPT && !wants_above(self, page) && !wants_below(self, page) &&
           is_away(self) == jump && !(dot && hearth_chat_column_is_at_end(column_of(self)));
}

static void placed(HearthChatColumn *column, HearthChatTranscript *self)
{
    double from, to;
    for (guint i = 0; i < n_rows(self); i++)
        if (hearth_chat_column_get_shown(column, i, &from, &to))
            hearth_message_view_set_shown(row_at(self, i), from, to);
    if (!is_settled(self)) hearth_chat_column_settle(column);
}

static void settled(HearthChatColumn *column G_GNUC_UNUSED, HearthChatTranscript *self)
{
    int page = gtk_widget_get_height(self->column);
    if (!self->conversation || page <= 0) return;
    if (add_near(self, page) || drop_far(self, page)) update_rows(self);
    show_jump(self);
}

/* ---- what the conversation tells --------------------------------------------------------------*/

static void grown(HearthChatTranscript *self)
{
    if (!hearth_chat_column_is_at_end(column_of(self)))
        gtk_widget_set_visible(self->jump_dot, TRUE);
}

static void follow_running(HearthChatTranscript *self)
{
    HearthMessage *running =
        self->conversation ? hearth_conversation_get_running(self->conversation) : NULL;
    if (running == self->running) return;
    if (self->running) g_signal_handlers_disconnect_by_data(self->running, self);
    g_set_object(&self->running, running);
    if (running) g_signal_connect_swapped(running, "notify::content", G_CALLBACK(grown), self);
}

static void busy_changed(HearthChatTranscript *self)
{
    follow_running(self);
    update_rows(self);
}

/* The rows of messages that are gone; where the rest of the change begins among the rows. */
static void take_out(HearthChatTranscript *self, guint position, guint removed, GHashTable *kept)
{
    guint end = MIN(position + removed, self->first + n_rows(self));
    for (guint i = end; i-- > MAX(position, self->first);) drop_row(self, i - self->first, kept);
}

static void change_rows(HearthChatTranscript *self, guint position, guint removed, guint added,
                        GHashTable *kept)
{
    guint old_n = self->n_items, window_end = self->first + n_rows(self);
    self->n_items = old_n - removed + added;
    if (position + removed <= self->first && position < self->first) {
        self->first += added - removed;
    } else if (position <= window_end && (position < window_end || window_end == old_n)) {
        take_out(self, position, removed, kept);
        if (position < self->first || added > REBUILD || !n_rows(self)) {
            drop_all(self, kept);
            build_at_place(self, kept);
        } else {
            for (guint i = 0; i < added; i++)
                add_row(self, position + i, position + i - self->first, kept);
        }
    }
    tell_end(self);
}

/* Index of the row in which the focus is, or G_MAXUINT. */
static guint focused_row(HearthChatTranscript *self, int *ret_action)
{
    GtkWidget *in = gtk_widget_get_focus_child(self->column);
    for (guint i = 0; in && i < n_rows(self); i++) {
        if (GTK_WIDGET(row_at(self, i)) != in) continue;
        *ret_action = hearth_message_view_get_focused_action(row_at(self, i));
        return i;
    }
    return G_MAXUINT;
}

/* The rows of what stays are used again: a change may well name messages that it does not change.
 */
static void items_changed(GListModel *model, guint position, guint removed, guint added,
                          HearthChatTranscript *self)
{
    g_autoptr(GHashTable) kept = g_hash_table_new_full(NULL, NULL, NULL, g_object_unref);
    if (n_rows(self)) keep_place(self);
    int action = -1;
    guint focused = focused_row(self, &action);
    change_rows(self, position, removed, added, kept);
    update_rows(self);
    if (focused < n_rows(self) + 1 && n_rows(self))
        hearth_message_view_focus(row_at(self, MIN(focused, n_rows(self) - 1)), action);
    follow_running(self);
    if (!added || position + added != self->n_items) return;
    g_autoptr(HearthMessage) last = g_list_model_get_item(model, self->n_items - 1);
    if (!g_hash_table_contains(kept, last) && last == self->running)
        hearth_chat_transcript_go_to_end(self);
}

/* ---- keys and buttons -------------------------------------------------------------------------*/

static gboolean key_pressed(GtkEventControllerKey *keys G_GNUC_UNUSED, guint keyval,
                            guint code G_GNUC_UNUSED, GdkModifierType state,
                            HearthChatTranscript *self)
{
    GtkWidget *focus = gtk_root_get_focus(gtk_widget_get_root(GTK_WIDGET(self)));
    GdkModifierType modifiers = state & gtk_accelerator_get_default_mod_mask();
    bool page = keyval == GDK_KEY_Page_Up || keyval == GDK_KEY_Page_Down ||
                keyval == GDK_KEY_KP_Page_Up || keyval == GDK_KEY_KP_Page_Down;
    /* Text fields have their own use for these keys; labels give them to the cursor of a selection,
     * which one wants only with Shift. With Ctrl the
     * page keys go to other conversations. */
    if (GTK_IS_TEXT_VIEW(focus) || GTK_IS_TEXT(focus) || (modifiers & ~GDK_CONTROL_MASK) ||
        (modifiers && page))
        return GDK_EVENT_PROPAGATE;
    return hearth_chat_transcript_scroll(self, keyval);
}

/* When it has faded away it is gone for assistive technology, too. */
static void jump_faded(GtkRevealer *jump)
{
    bool there = gtk_revealer_get_reveal_child(jump) || gtk_revealer_get_child_revealed(jump);
    gtk_widget_set_visible(GTK_WIDGET(jump), there);
}

static void add_jump(HearthChatTranscript *self)
{
    GtkWidget *button = gtk_button_new_from_icon_name("go-down-symbolic");
    gtk_widget_add_css_class(button, "circular");
    gtk_widget_add_css_class(button, "jump");
    gtk_widget_set_tooltip_text(button, _("Jump to Bottom"));
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Jump to Bottom"), -1);
    g_signal_connect_swapped(button, "clicked", G_CALLBACK(hearth_chat_transcript_go_to_end), self);
    GtkWidget *with_dot = gtk_overlay_new();
    gtk_overlay_set_child(GTK_OVERLAY(with_dot), button);
    self->jump_dot = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(self->jump_dot, "new-dot");
    gtk_widget_set_halign(self->jump_dot, GTK_ALIGN_END);
    gtk_widget_set_valign(self->jump_dot, GTK_ALIGN_START);
    gtk_widget_set_can_target(self->jump_dot, FALSE);
    gtk_widget_set_visible(self->jump_dot, FALSE);
    gtk_overlay_add_overlay(GTK_OVERLAY(with_dot), self->jump_dot);
    self->jump = gtk_revealer_new();
    gtk_revealer_set_transition_type(GTK_REVEALER(self->jump),
                                     GTK_REVEALER_TRANSITION_TYPE_CROSSFADE);
    gtk_revealer_set_child(GTK_REVEALER(self->jump), with_dot);
    g_signal_connect(self->jump, "notify::child-revealed", G_CALLBACK(jump_faded), NULL);
    gtk_widget_set_can_target(self->jump, FALSE);
    gtk_widget_set_visible(self->jump, FALSE);
    gtk_widget_set_halign(self->jump, GTK_ALIGN_CENTER);
    gtk_widget_set_valign(self->jump, GTK_ALIGN_END);
    gtk_overlay_add_overlay(GTK_OVERLAY(self->overlay), self->jump);
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void dispose(GObject *object)
{
    HearthChatTranscript *self = HEARTH_CHAT_TRANSCRIPT(object);
    if (self->column) hearth_chat_transcript_set_conversation(self, NULL);
    self->column = NULL;
    g_clear_pointer(&self->overlay, gtk_widget_unparent);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_chat_transcript_parent_class)->dispose(object);
}

static void hearth_chat_transcript_class_init(HearthChatTranscriptClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "transcript");
}

static void hearth_chat_transcript_init(HearthChatTranscript *self)
{
    self->column = hearth_chat_column_new();
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->column), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Transcript"), -1);
    g_signal_connect(self->column, "placed", G_CALLBACK(placed), self);
    g_signal_connect(self->column, "settled", G_CALLBACK(settled), self);
    GtkWidget *scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), self->column);
    gtk_widget_set_focusable(scroller, FALSE);
    self->overlay = gtk_overlay_new();
    gtk_overlay_set_child(GTK_OVERLAY(self->overlay), scroller);
    gtk_widget_set_parent(self->overlay, GTK_WIDGET(self));
    add_jump(self);
    GtkEventController *keys = gtk_event_controller_key_new();
    gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
    g_signal_connect(keys, "key-pressed", G_CALLBACK(key_pressed), self);
    gtk_widget_add_controller(GTK_WIDGET(self), keys);
}

/* ---- public -----------------------------------------------------------------------------------*/

GtkWidget *hearth_chat_transcript_new(HearthApp *app)
{
    HearthChatTranscript *self = g_object_new(HEARTH_TYPE_CHAT_TRANSCRIPT, NULL);
    self->app = g_object_ref(app);
    return GTK_WIDGET(self);
}

void hearth_chat_transcript_set_conversation(HearthChatTranscript *transcript,
                                             HearthConversation *conversation)
{
    HearthChatTranscript *self = transcript;
    if (self->conversation) {
        if (n_rows(self)) keep_place(self);
        g_signal_handlers_disconnect_by_data(self->conversation, self);
        drop_all(self, NULL);
    }
    g_set_object(&self->conversation, conversation);
    self->first = self->n_items = 0;
    follow_running(self);
    gtk_widget_set_visible(self->jump_dot, FALSE);
    hearth_chat_column_hold_end(column_of(self));
    if (!conversation) return;
    g_signal_connect(conversation, "items-changed", G_CALLBACK(items_changed), self);
    g_signal_connect_swapped(conversation, "notify::busy", G_CALLBACK(busy_changed), self);
    self->n_items = g_list_model_get_n_items(G_LIST_MODEL(conversation));
    build_at_place(self, NULL);
    update_rows(self);
}

bool hearth_chat_transcript_scroll(HearthChatTranscript *transcript, guint keyval)
{
    HearthChatTranscript *self = transcript;
    int page = gtk_widget_get_height(self->column) * 9 / 10;
    switch (keyval) {
    case GDK_KEY_Page_Up:
    case GDK_KEY_KP_Page_Up: hearth_chat_column_glide(column_of(self), -page); return true;
    case GDK_KEY_Page_Down:
    case GDK_KEY_KP_Page_Down: hearth_chat_column_glide(column_of(self), page); return true;
    case GDK_KEY_Home:
    case GDK_KEY_KP_Home:
        if (!self->n_items) return true;
        if (self->first > 0) {
            drop_all(self, NULL);
            build(self, 0, 0, NULL);
            update_rows(self);
        }
        hearth_chat_column_hold(column_of(self), hearth_chat_column_get_row(column_of(self), 0),
                                G_MAXINT16);
        return true;
    case GDK_KEY_End:
    case GDK_KEY_KP_End: hearth_chat_transcript_go_to_end(self); return true;
    }
    return false;
}

void hearth_chat_transcript_go_to_end(HearthChatTranscript *transcript)
{
    HearthChatTranscript *self = transcript;
    if (self->first + n_rows(self) < self->n_items) {
        drop_all(self, NULL);
        build(self, self->n_items, 0, NULL);
        update_rows(self);
    }
    hearth_chat_column_hold_end(column_of(self));
    gtk_widget_set_visible(self->jump_dot, FALSE);
}

bool hearth_chat_transcript_show_message(HearthChatTranscript *transcript, gint64 message)
{
    HearthChatTranscript *self = transcript;
    if (!self->conversation) return false;
    guint item = find(self, message);
    if (item == self->n_items) return false;
    if (item < self->first || item >= self->first + n_rows(self)) {
        drop_all(self, NULL);
        build(self, item, 0, NULL);
        update_rows(self);
    }
    GtkWidget *row = hearth_chat_column_get_row(column_of(self), item - self->first);
    hearth_chat_column_hold(column_of(self), row, 24);
    hearth_message_view_flash(HEARTH_MESSAGE_VIEW(row));
    return true;
}

bool hearth_chat_transcript_edit_last(HearthChatTranscript *transcript)
{
    HearthChatTranscript *self = transcript;
    if (!self->conversation || hearth_conversation_is_busy(self->conversation)) return false;
    hearth_chat_transcript_go_to_end(self);
    for (guint i = n_rows(self); i-- > 0;) {
        HearthMessage *message = hearth_message_view_get_message(row_at(self, i));
        if (hearth_message_get_role(message) != HEARTH_ROLE_USER) continue;
        hearth_message_view_edit(row_at(self, i));
        return true;
    }
    return false;
}

void hearth_chat_transcript_get_window(HearthChatTranscript *transcript, guint *ret_first,
                                       guint *ret_n)
{
    *ret_first = transcript->first;
    *ret_n = n_rows(transcript);
}
