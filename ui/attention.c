#include "attention.h"

#include <glib/gi18n-lib.h>

#include "markdown/model/plain.h"

#define NOTIFICATIONS "org.freedesktop.Notifications"
#define BODY 160 /* characters of the answer that a notification shows */

struct HearthAttention {
    GtkApplication *application;
    HearthApp *app;
    GPtrArray *followed; /* of HearthConversation, in the order of the history */
    GHashTable *sent;    /* names of the notifications that may be on show */
    guint awake;         /* cookie; 0 = the machine may sleep */
    bool by_portal;      /* notifications: in a sandbox, where the portal is there */
};

/* ---- notifications --------------------------------------------------------------------------- */

static bool is_looked_at(HearthAttention *self)
{
    for (GList *one = gtk_application_get_windows(self->application); one; one = one->next)
        if (gtk_window_is_active(one->data)) return true;
    return false;
}

/* The beginning of the last answer on one line; g_free(). */
static char *beginning_of_answer(HearthConversation *conversation)
{
    GListModel *messages = G_LIST_MODEL(conversation);
    guint n = g_list_model_get_n_items(messages);
    g_autoptr(HearthMessage) last = n ? g_list_model_get_item(messages, n - 1) : NULL;
    if (!last || hearth_message_get_role(last) != HEARTH_ROLE_ASSISTANT) return NULL;
    const char *error = hearth_message_get_error(last);
    if (error && *error) return g_strdup(error);
    size_t len;
    const char *text = hearth_message_get_content(last, &len);
    return len ? hearth_markdown_plain(text, len, BODY) : NULL;
}

/* A notification that waits for the news whether anybody shows notifications: GLib warns when it
 * has to find out by itself. */
typedef struct {
    GApplication *application;
    char *name;
    GNotification *note;
} Waiting;

static void waiting_free(Waiting *waiting)
{
    g_object_unref(waiting->note);
    g_object_unref(waiting->application);
    g_free(waiting->name);
    g_free(waiting);
}

static void ask_bus(const char *method, GVariant *arguments, GAsyncReadyCallback done,
                    Waiting *waiting)
{
    g_dbus_connection_call(g_application_get_dbus_connection(waiting->application),
                           "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                           method, arguments, NULL, G_DBUS_CALL_FLAGS_NONE, -1, NULL, done,
                           waiting);
}

static void on_started(GObject *bus, GAsyncResult *result, gpointer data)
{
    Waiting *waiting = data;
    g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, NULL);
    if (reply) g_application_send_notification(waiting->application, waiting->name, waiting->note);
    waiting_free(waiting);
}

/* The bus starts only what it has a file for, so that who runs without one is asked for first. */
static void on_owner(GObject *bus, GAsyncResult *result, gpointer data)
{
    Waiting *waiting = data;
    gboolean owned = false;
    g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, NULL);
    if (reply) g_variant_get(reply, "(b)", &owned);
    if (!owned) {
        ask_bus("StartServiceByName", g_variant_new("(su)", NOTIFICATIONS, 0), on_started, waiting);
        return;
    }
    g_application_send_notification(waiting->application, waiting->name, waiting->note);
    waiting_free(waiting);
}

static void send(HearthAttention *self, const char *name, GNotification *note)
{
    GApplication *application = G_APPLICATION(self->application);
    if (!g_application_get_dbus_connection(application)) return;
    if (self->by_portal) {
        g_application_send_notification(application, name, note);
        return;
    }
    Waiting *waiting = g_new(Waiting, 1);
    *waiting = (Waiting){g_object_ref(application), g_strdup(name), g_object_ref(note)};
    ask_bus("NameHasOwner", g_variant_new("(s)", NOTIFICATIONS), on_owner, waiting);
}

static void on_busy(HearthConversation *conversation, GParamSpec *spec, gpointer data)
{
    HearthAttention *self = data;
    gint64 id = hearth_conversation_get_id(conversation);
    g_autofree char *name = g_strdup_printf("answer-%" G_GINT64_FORMAT, id);
    (void)spec;
    if (hearth_conversation_is_busy(conversation)) {
        if (g_hash_table_remove(self->sent, name))
            g_application_withdraw_notification(G_APPLICATION(self->application), name);
        return;
    }
    if (is_looked_at(self) || !g_settings_get_boolean(hearth_app_get_settings(self->app), "notify"))
        return;
    const char *title = hearth_conversation_get_title(conversation);
    g_autoptr(GNotification) note = g_notification_new(*title ? title : _("New Conversation"));
    g_autofree char *body = beginning_of_answer(conversation);
    g_notification_set_body(note, body ? body : _("The answer is there."));
    g_notification_set_default_action_and_target(note, "app.show-conversation", "x", id);
    g_hash_table_add(self->sent, g_strdup(name));
    send(self, name, note);
}

static void unfollow(gpointer conversation, gpointer self)
{
    g_signal_handlers_disconnect_by_func(conversation, on_busy, self);
}

static void on_history_changed(GListModel *history, guint at, guint n_removed, guint n_added,
                               gpointer data)
{
    HearthAttention *self = data;
    for (guint i = 0; i < n_removed; i++) unfollow(self->followed->pdata[at + i], self);
    if (n_removed) g_ptr_array_remove_range(self->followed, at, n_removed);
    for (guint i = 0; i < n_added; i++) {
        HearthConversation *conversation = g_list_model_get_item(history, at + i);
        g_ptr_array_insert(self->followed, (int)(at + i), conversation);
        g_signal_connect(conversation, "notify::busy", G_CALLBACK(on_busy), self);
    }
}

/* ---- sleep ----------------------------------------------------------------------------------- */

static void on_worker_busy(GObject *worker, GParamSpec *spec, gpointer data)
{
    HearthAttention *self = data;
    gboolean busy = false;
    (void)spec;
    g_object_get(worker, "busy", &busy, NULL);
    if (busy && !self->awake) {
        self->awake = gtk_application_inhibit(
            self->application, gtk_application_get_active_window(self->application),
            GTK_APPLICATION_INHIBIT_SUSPEND, _("An answer is being written"));
    } else if (!busy && self->awake) {
        gtk_application_uninhibit(self->application, self->awake);
        self->awake = 0;
    }
}

HearthAttention *hearth_attention_new(GtkApplication *application, HearthApp *app)
{
    HearthAttention *self = g_new0(HearthAttention, 1);
    GListModel *history = G_LIST_MODEL(hearth_app_get_history(app));
    self->application = application;
    self->app = g_object_ref(app);
    self->by_portal = g_file_test("/.flatpak-info", G_FILE_TEST_EXISTS);
    self->followed = g_ptr_array_new_with_free_func(g_object_unref);
    self->sent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_signal_connect(history, "items-changed", G_CALLBACK(on_history_changed), self);
    on_history_changed(history, 0, 0, g_list_model_get_n_items(history), self);
    g_signal_connect(hearth_app_get_worker(app), "notify::busy", G_CALLBACK(on_worker_busy), self);
    return self;
}

void hearth_attention_free(HearthAttention *self)
{
    if (!self) return;
    g_signal_handlers_disconnect_by_data(hearth_app_get_history(self->app), self);
    g_signal_handlers_disconnect_by_data(hearth_app_get_worker(self->app), self);
    g_ptr_array_foreach(self->followed, unfollow, self);
    g_ptr_array_unref(self->followed);
    g_hash_table_unref(self->sent);
    if (self->awake) gtk_application_uninhibit(self->application, self->awake);
    g_object_unref(self->app);
    g_free(self);
}
