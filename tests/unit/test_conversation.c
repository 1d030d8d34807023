/* Conversations as a person uses them, over the real store, the real worker and Ember. */
#include <glib/gstdio.h>

#include "chat/conversation_private.h"
#include "settings.h"
#include "test.h"

#define SLOW 60 /* seconds that anything may take, under sanitizers and on a busy machine */

typedef struct {
    char *folder, *db;
    HearthStore *store;
    HearthWorker *worker;
    GSettings *settings, *chat;
    HearthHistory *history;
} World;

static bool spin(bool (*until)(void *), void *data)
{
    gint64 end = g_get_monotonic_time() + (gint64)SLOW * G_USEC_PER_SEC;
    while (!until(data)) {
        if (g_get_monotonic_time() > end) return false;
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
    }
    return true;
}

static void opened(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *notice = NULL;
    bool ok = hearth_store_open_finish(HEARTH_STORE(store), result, &notice, &error);
    CHECK_MSG(ok, "%s", error ? error->message : "?");
    CHECK(!notice);
    hearth_history_load(data);
}

static bool is_ready(void *world)
{
    World *w = world;
    return hearth_history_is_ready(w->history) &&
           hearth_worker_get_state(w->worker) != HEARTH_MODEL_LOADING;
}

/* A new run of the program over the same folder. */
static void start(World *w)
{
    g_autofree char *ini = g_build_filename(w->folder, "settings.ini", NULL);
    CHECK(hearth_settings_open(ini, &w->settings, &w->chat, NULL));
    g_settings_set_double(w->chat, "temperature", 0);
    g_settings_set_int(w->chat, "max-tokens", 60);
    w->store = hearth_store_new(w->db);
    w->worker = hearth_worker_new();
    w->history = hearth_history_new(w->store, w->worker, w->chat);
    hearth_store_open_async(w->store, opened, w->history);
    hearth_worker_load(w->worker, NULL, &(HearthModelSettings){.threads = 2});
    CHECK(spin(is_ready, w));
}

static void stop(World *w)
{
    hearth_worker_close(w->worker);
    hearth_history_settle(w->history);
    hearth_store_close(w->store, 10);
    g_object_unref(w->history);
    g_object_unref(w->worker);
    g_object_unref(w->store);
    g_object_unref(w->chat);
    g_object_unref(w->settings);
}

static World *begin(void)
{
    World *w = g_new0(World, 1);
    w->folder = g_dir_make_tmp("hearth-chat-XXXXXX", NULL);
    w->db = g_build_filename(w->folder, "history.db", NULL);
    start(w);
    return w;
}

static void end(World *w)
{
    stop(w);
    g_autoptr(GDir) dir = g_dir_open(w->folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(w->folder, name, NULL);
        g_remove(path);
    }
    g_rmdir(w->folder);
    g_free(w->folder);
    g_free(w->db);
    g_free(w);
}

static bool is_idle(void *c) { return !hearth_conversation_is_busy(c); }
static bool is_loaded(void *c) { return hearth_conversation_is_loaded(c); }

static HearthConversation *fresh(World *w)
{
    HearthConversation *c = hearth_history_new_conversation(w->history, 0);
    hearth_conversation_set_shown(c, true);
    return c;
}

/* Borrowed. */
static HearthMessage *nth(HearthConversation *c, guint at)
{
    g_autoptr(HearthMessage) m = g_list_model_get_item(G_LIST_MODEL(c), at);
    return m;
}

static guint count(HearthConversation *c) { return g_list_model_get_n_items(G_LIST_MODEL(c)); }

static const char *text(HearthConversation *c, guint at)
{
    return hearth_message_get_content(nth(c, at), NULL);
}

static void ask(HearthConversation *c, const char *question)
{
    hearth_conversation_send(c, question);
    CHECK(spin(is_idle, c));
}

static HearthConversation *reopen(World *w, gint64 id)
{
    HearthConversation *c = hearth_history_find(w->history, id);
    CHECK(c != NULL);
    if (!c) return NULL;
    hearth_conversation_set_shown(c, true);
    CHECK(spin(is_loaded, c));
    return c;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void ask_and_restart(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    CHECK_INT(g_list_model_get_n_items(G_LIST_MODEL(w->history)), 0);
    ask(c, "  What is Hearth?\nPlease be brief.");
    CHECK_INT(count(c), 2);
    CHECK_INT(hearth_message_get_state(nth(c, 1)), HEARTH_STATE_DONE);
    CHECK(*text(c, 1));
    CHECK(hearth_message_get_stats(nth(c, 1)).tokens > 0);
    CHECK_STR(hearth_message_get_model(nth(c, 1)), "Ember");
    CHECK_STR(hearth_conversation_get_title(c), "What is Hearth?");
    CHECK_INT(g_list_model_get_n_items(G_LIST_MODEL(w->history)), 1);
    ask(c, "Tell me more.");
    CHECK_INT(count(c), 4);
    CHECK(hearth_message_get_stats(nth(c, 3)).reused_tokens > 0);
    hearth_conversation_set_draft(c, "not sent yet");
    hearth_conversation_set_pinned(c, true);
    g_autofree char *answer = g_strdup(text(c, 3));
    gint64 id = hearth_conversation_get_id(c);
    stop(w);

    start(w);
    c = reopen(w, id);
    CHECK_INT(count(c), 4);
    CHECK_STR(text(c, 3), answer);
    CHECK_STR(hearth_conversation_get_draft(c), "not sent yet");
    CHECK_STR(hearth_conversation_get_title(c), "What is Hearth?");
    CHECK(hearth_conversation_get_pinned(c));
    CHECK_STR(hearth_message_get_model(nth(c, 1)), "Ember");
    end(w);
}

static const char *attached(HearthConversation *c, guint at)
{
    const GPtrArray *all = hearth_conversation_get_attachments(c);
    return at < all->len ? ((HearthUnsentRow *)all->pdata[at])->content : NULL;
}

/* Files and an edit stay with the draft: over showing another conversation and over a restart. */
static void keeps_what_is_begun(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    hearth_conversation_attach(c, "a.txt", "text of a"); /* of a conversation with nothing in it */
    hearth_conversation_attach(c, "b.txt", "text of b");
    gint64 id = hearth_conversation_get_id(c);
    stop(w);

    start(w);
    c = reopen(w, id);
    CHECK(c);
    CHECK_INT(hearth_conversation_get_attachments(c)->len, 2);
    CHECK_STR(attached(c, 0), "text of a");
    hearth_conversation_detach(
        c, ((HearthUnsentRow *)hearth_conversation_get_attachments(c)->pdata[0])->id);
    ask(c, "What is Hearth?");
    gint64 message = hearth_message_get_id(nth(c, 0));
    hearth_conversation_set_edit(c, message, "What is");
    hearth_conversation_set_edit(c, message, "What is a hearth?");
    hearth_conversation_set_shown(c, false);
    CHECK(!hearth_conversation_is_loaded(c));
    hearth_conversation_attach(c, "c.txt", "text of c"); /* read while another one was shown */
    c = reopen(w, id);
    CHECK_INT(hearth_conversation_get_attachments(c)->len, 2);
    CHECK_STR(attached(c, 0), "text of b");
    CHECK_STR(attached(c, 1), "text of c");
    CHECK_STR(hearth_conversation_get_edit(c, message), "What is a hearth?");
    hearth_conversation_set_edit(c, message, "at the very end");
    stop(w);

    start(w);
    c = reopen(w, id);
    CHECK_STR(hearth_conversation_get_edit(c, message), "at the very end");
    hearth_conversation_set_edit(c, message, NULL);
    hearth_conversation_detach(c, 0);
    CHECK_INT(hearth_conversation_get_attachments(c)->len, 0);
    stop(w);

    start(w);
    c = reopen(w, id);
    CHECK(!hearth_conversation_get_edit(c, message));
    CHECK_INT(hearth_conversation_get_attachments(c)->len, 0);
    end(w);
}

static bool came(void *result) { return *(GAsyncResult **)result != NULL; }

static void take_result(GObject *history, GAsyncResult *result, void *data)
{
    (void)history;
    *(GAsyncResult **)data = g_object_ref(result);
}

static bool has_folders(void *list)
{
    GString *names = g_string_new(NULL);
    for (guint i = 0; i < g_list_model_get_n_items(list); i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(list, i);
        g_string_append_printf(names, "%s ", hearth_folder_get_name(folder));
    }
    g_autofree char *all = g_string_free(names, FALSE);
    return strcmp(all, "Imported Mine ") == 0;
}

/* Folders come and go while an import's list is on its way: what is in the list at the end is what
 * the person did and what was imported. */
static void imports_while_folders_change(void)
{
    World *w = begin();
    g_autofree char *path = g_build_filename(w->folder, "some.json", NULL);
    CHECK(g_file_set_contents(path,
                              "{\"format\":\"hearth-history\",\"version\":1,\"folders\":[{"
                              "\"id\":1,\"name\":\"Imported\"}],\"conversations\":[{\"id\":2,"
                              "\"title\":\"a\",\"folder\":1,\"messages\":[{\"id\":3}]}]}",
                              -1, NULL));
    g_autoptr(GFile) file = g_file_new_for_path(path);
    GListModel *folders = hearth_history_get_folders(w->history);
    HearthFolder *mine = hearth_history_add_folder(w->history, "Work");
    HearthFolder *gone = g_object_ref(hearth_history_add_folder(w->history, "Gone"));
    HearthConversation *deleted = g_object_ref(fresh(w));
    hearth_conversation_set_title(deleted, "deleted");
    hearth_conversation_put(deleted);
    GAsyncResult *result = NULL;
    hearth_history_import_async(w->history, file, take_result, &result);
    CHECK(spin(came, &result)); /* the list is on its way */
    hearth_history_rename_folder(w->history, mine, "Mine");
    hearth_history_delete_folder(w->history, gone);
    hearth_history_delete(w->history, deleted);
    guint n = 0;
    g_autofree char *left_out = NULL;
    CHECK(hearth_history_import_finish(w->history, result, &n, &left_out, NULL) && n == 1);
    CHECK(spin(has_folders, folders));
    g_autoptr(HearthFolder) last = g_list_model_get_item(folders, 1);
    CHECK_MSG(last == mine, "the folder is another object now");
    CHECK_INT(g_list_model_get_n_items(G_LIST_MODEL(w->history)), 1);
    g_object_unref(result);
    g_object_unref(gone);
    g_object_unref(deleted);
    end(w);
}

static void versions(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    ask(c, "What is an expert?");
    g_autofree char *first = g_strdup(text(c, 1));
    ask(c, "And what is a router?");
    hearth_conversation_regenerate(c, nth(c, 1));
    CHECK(spin(is_idle, c));
    CHECK_INT(count(c), 2);
    CHECK_INT(hearth_message_get_version(nth(c, 1)), 2);
    CHECK_INT(hearth_message_get_n_versions(nth(c, 1)), 2);
    CHECK_STR(text(c, 1), first); /* greedy */
    hearth_conversation_switch_version(c, nth(c, 1), -1);
    CHECK_INT(count(c), 4);
    CHECK_STR(text(c, 2), "And what is a router?");
    hearth_conversation_edit(c, nth(c, 0), "What is quantization?");
    CHECK(spin(is_idle, c));
    CHECK_INT(count(c), 2);
    CHECK_STR(text(c, 0), "What is quantization?");
    CHECK_INT(hearth_message_get_n_versions(nth(c, 0)), 2);
    hearth_conversation_switch_version(c, nth(c, 0), -1);
    CHECK_INT(count(c), 4);
    gint64 id = hearth_conversation_get_id(c);
    stop(w);

    start(w);
    c = reopen(w, id);
    CHECK_INT(count(c), 4);
    CHECK_STR(text(c, 0), "What is an expert?");
    hearth_conversation_switch_version(c, nth(c, 0), 1);
    CHECK_STR(text(c, 0), "What is quantization?");
    end(w);
}

static bool has_text(void *c)
{
    HearthMessage *running = hearth_conversation_get_running(c);
    size_t n = 0;
    if (running) hearth_message_get_content(running, &n);
    return n > 0 || !running;
}

static void stop_and_go_on(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    ask(c, "What is Hearth?");
    g_autofree char *whole = g_strdup(text(c, 1));
    g_settings_set_int(w->chat, "max-tokens", 5);
    hearth_conversation_regenerate(c, nth(c, 1));
    CHECK(spin(is_idle, c));
    CHECK_INT(hearth_message_get_state(nth(c, 1)), HEARTH_STATE_LENGTH);
    CHECK(strlen(text(c, 1)) < strlen(whole));
    g_settings_set_int(w->chat, "max-tokens", 0);
    hearth_conversation_go_on(c, nth(c, 1));
    CHECK(spin(is_idle, c));
    CHECK_INT(hearth_message_get_state(nth(c, 1)), HEARTH_STATE_DONE);
    CHECK_STR(text(c, 1), whole);
    CHECK(hearth_message_get_stats(nth(c, 1)).tokens > 5);

    hearth_conversation_send(c, "Tell me about yourself.");
    CHECK(spin(has_text, c));
    hearth_conversation_stop(c);
    CHECK(spin(is_idle, c));
    CHECK_INT(hearth_message_get_role(nth(c, 3)), HEARTH_ROLE_ASSISTANT);
    end(w);
}

static void delete_messages(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    ask(c, "Hello");
    ask(c, "What is a token?");
    gint64 id = hearth_message_get_id(nth(c, 2)), conversation = hearth_conversation_get_id(c);
    hearth_conversation_delete_message(c, nth(c, 2));
    CHECK_INT(count(c), 2);
    hearth_conversation_restore_message(c, id);
    CHECK_INT(count(c), 4);
    hearth_conversation_delete_message(c, nth(c, 2));
    hearth_conversation_set_shown(c, false);
    CHECK_INT(count(c), 0);
    c = reopen(w, conversation);
    CHECK_INT(count(c), 2);
    hearth_conversation_restore_message(c, id);
    CHECK(spin(is_loaded, c));
    CHECK_INT(count(c), 4);
    CHECK_STR(text(c, 2), "What is a token?");

    /* While its answer is written. */
    hearth_conversation_send(c, "Tell me more");
    CHECK(spin(has_text, c));
    id = hearth_message_get_id(nth(c, 4));
    hearth_conversation_delete_message(c, nth(c, 4));
    CHECK(spin(is_idle, c));
    CHECK_INT(count(c), 4);
    hearth_conversation_restore_message(c, id);
    CHECK_INT(count(c), 6);
    hearth_conversation_delete_message(c, nth(c, 0));
    CHECK_INT(count(c), 0);
    ask(c, "Hello again");
    CHECK_INT(count(c), 2);
    stop(w);
    start(w);
    c = reopen(w, conversation);
    CHECK_INT(count(c), 2);
    CHECK_STR(text(c, 0), "Hello again");
    end(w);
}

static void delete_conversations(void)
{
    World *w = begin();
    HearthConversation *c = g_object_ref(fresh(w));
    hearth_conversation_send(c, "What is Hearth?");
    CHECK(spin(has_text, c));
    hearth_history_delete(w->history, c);
    CHECK(spin(is_idle, c));
    CHECK_INT(g_list_model_get_n_items(G_LIST_MODEL(w->history)), 0);
    hearth_history_restore(w->history, c);
    CHECK_INT(g_list_model_get_n_items(G_LIST_MODEL(w->history)), 1);
    CHECK_INT(count(c), 2);
    gint64 kept = hearth_conversation_get_id(c);
    HearthFolder *folder = g_object_ref(hearth_history_add_folder(w->history, "Work"));
    hearth_conversation_set_folder(c, hearth_folder_get_id(folder));
    hearth_history_delete_folder(w->history, folder);
    CHECK_INT(hearth_conversation_get_folder(c), 0);
    hearth_history_restore_folder(w->history, folder);
    CHECK_INT(hearth_conversation_get_folder(c), hearth_folder_get_id(folder));
    g_object_unref(c);
    c = g_object_ref(fresh(w));
    ask(c, "Bye");
    gint64 gone = hearth_conversation_get_id(c);
    hearth_history_delete(w->history, c);
    g_object_unref(c);
    stop(w);
    start(w);
    CHECK(!hearth_history_find(w->history, gone));
    c = reopen(w, kept);
    CHECK(c && hearth_conversation_get_folder(c) == hearth_folder_get_id(folder));
    CHECK_INT(g_list_model_get_n_items(hearth_history_get_folders(w->history)), 1);
    g_object_unref(folder);
    end(w);
}

/* Leaving a conversation never loses the answer that is being written in it; a second one waits. */
static void leave_while_writing(void)
{
    World *w = begin();
    HearthConversation *one = fresh(w);
    hearth_conversation_send(one, "What is Hearth?");
    hearth_conversation_set_shown(one, false);
    HearthConversation *two = fresh(w);
    CHECK(one != two);
    hearth_conversation_send(two, "What is Ember?");
    CHECK_INT(hearth_message_get_state(nth(two, 1)), HEARTH_STATE_QUEUED);
    CHECK(spin(is_idle, two));
    CHECK(spin(is_idle, one));
    CHECK(hearth_conversation_is_unread(one));
    CHECK(!hearth_conversation_is_unread(two));
    CHECK(!hearth_conversation_is_loaded(one)); /* it let go of its messages */
    reopen(w, hearth_conversation_get_id(one));
    CHECK(!hearth_conversation_is_unread(one));
    CHECK_INT(count(one), 2);
    CHECK_INT(hearth_message_get_state(nth(one, 1)), HEARTH_STATE_DONE);
    CHECK(*text(one, 1));
    end(w);
}

static void close_while_writing(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    hearth_conversation_send(c, "What is Hearth?");
    CHECK(spin(has_text, c));
    gint64 id = hearth_conversation_get_id(c);
    g_autofree char *before = g_strdup(text(c, 1));
    stop(w);
    start(w);
    c = reopen(w, id);
    CHECK(g_str_has_prefix(text(c, 1), before));
    CHECK(!hearth_state_is_running(hearth_message_get_state(nth(c, 1))));
    end(w);
}

static void own_settings(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    GSettings *own = hearth_conversation_get_settings(c);
    g_settings_set_int(own, "max-tokens", 3);
    ask(c, "What is Hearth?");
    CHECK_INT(hearth_message_get_stats(nth(c, 1)).tokens, 3);
    CHECK_INT(hearth_message_get_state(nth(c, 1)), HEARTH_STATE_LENGTH);
    g_settings_set_int(own, "context", 16); /* the question alone fits, the history does not */
    hearth_conversation_send(c, "This is a longer message that needs more room than there is.");
    CHECK(spin(is_idle, c));
    CHECK_INT(hearth_message_get_state(nth(c, 3)), HEARTH_STATE_CONTEXT_FULL);
    CHECK(strstr(hearth_message_get_error(nth(c, 3)), "16"));
    gint64 id = hearth_conversation_get_id(c);
    stop(w);
    start(w);
    c = reopen(w, id);
    CHECK_INT(g_settings_get_int(hearth_conversation_get_settings(c), "max-tokens"), 3);
    g_settings_reset(hearth_conversation_get_settings(c), "context");
    hearth_conversation_regenerate(c, nth(c, 3));
    CHECK(spin(is_idle, c));
    CHECK_INT(hearth_message_get_state(nth(c, 3)), HEARTH_STATE_LENGTH);
    end(w);
}

static bool is_unloaded(void *worker)
{
    return hearth_worker_get_state(worker) == HEARTH_MODEL_NONE;
}

static void no_model(void)
{
    World *w = begin();
    hearth_worker_unload(w->worker);
    CHECK(spin(is_unloaded, w->worker));
    HearthConversation *c = fresh(w);
    ask(c, "Hello?");
    CHECK_INT(hearth_message_get_state(nth(c, 1)), HEARTH_STATE_FAILED);
    CHECK(*hearth_message_get_error(nth(c, 1)));
    hearth_worker_load(w->worker, NULL, &(HearthModelSettings){.threads = 2});
    hearth_conversation_regenerate(c, nth(c, 1)); /* waits for the model */
    CHECK(spin(is_idle, c));
    CHECK_INT(hearth_message_get_state(nth(c, 1)), HEARTH_STATE_DONE);
    CHECK_INT(hearth_message_get_n_versions(nth(c, 1)), 2);
    end(w);
}

static void drafts(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    CHECK(hearth_history_new_conversation(w->history, 0) == c);
    hearth_conversation_set_draft(c, "half a thou");
    hearth_conversation_set_draft(c, "half a thought");
    gint64 id = hearth_conversation_get_id(c);
    hearth_conversation_set_shown(c, false);
    CHECK(hearth_history_new_conversation(w->history, 0) != c);
    stop(w);
    start(w);
    c = reopen(w, id);
    CHECK_STR(hearth_conversation_get_draft(c), "half a thought");
    hearth_conversation_set_draft(c, "");
    hearth_conversation_set_shown(c, false);
    stop(w);
    start(w);
    CHECK(!hearth_history_find(w->history, id)); /* nothing in it */
    end(w);
}

/* The window may go while it is shown. */
static void draft_at_the_end(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    gint64 id = hearth_conversation_get_id(c);
    hearth_conversation_set_draft(c, "the last words");
    stop(w);
    start(w);
    c = hearth_history_find(w->history, id);
    CHECK_STR(c ? hearth_conversation_get_draft(c) : "(gone)", "the last words");
    end(w);
}

/* Sent before the messages were read: asked once they are, wherever the person is by then. */
static void send_before_it_is_loaded(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    ask(c, "Hello");
    gint64 id = hearth_conversation_get_id(c);
    hearth_conversation_set_shown(c, false);
    hearth_conversation_set_shown(c, true);
    CHECK(!hearth_conversation_is_loaded(c));
    hearth_conversation_send(c, "One");
    hearth_conversation_send(c, "Two");
    hearth_conversation_set_draft(c, "Three");
    hearth_conversation_set_shown(c, false);
    CHECK(spin(is_loaded, c));
    CHECK(spin(is_idle, c));
    reopen(w, id);
    CHECK_INT(count(c), 4);
    CHECK_STR(text(c, 2), "One\n\nTwo");
    CHECK_STR(hearth_conversation_get_draft(c), "Three");
    hearth_conversation_set_shown(c, false);
    hearth_conversation_set_shown(c, true);
    hearth_conversation_set_draft(c, "");
    hearth_conversation_send(c, "Four");
    hearth_conversation_set_draft(c, "Five");
    stop(w); /* nobody has read them */
    start(w);
    c = hearth_history_find(w->history, id);
    CHECK_STR(hearth_conversation_get_draft(c), "Four\n\nFive");
    end(w);
}

/* Undo comes before the answer has heard that it is to stop. */
static void restore_while_it_stops(void)
{
    World *w = begin();
    HearthConversation *c = fresh(w);
    ask(c, "Hello");
    hearth_conversation_send(c, "Tell me more");
    gint64 id = hearth_message_get_id(nth(c, 2));
    hearth_conversation_delete_message(c, nth(c, 2));
    CHECK_INT(count(c), 2);
    CHECK(hearth_conversation_is_busy(c));
    hearth_conversation_restore_message(c, id);
    CHECK_INT(count(c), 4);
    CHECK(spin(is_idle, c));
    CHECK_INT(count(c), 4);
    id = hearth_message_get_id(nth(c, 2));
    hearth_conversation_delete_message(c, nth(c, 2));
    hearth_conversation_send(c, "Something else");
    hearth_conversation_restore_message(c, id);
    CHECK_STR(text(c, 2), "Something else");
    CHECK_INT(hearth_message_get_n_versions(nth(c, 2)), 2);
    CHECK(spin(is_idle, c));
    end(w);
}

/* Held by the offer to undo it. */
static void deleted_one_outlives_the_history(void)
{
    World *w = begin();
    HearthConversation *c = g_object_ref(fresh(w));
    hearth_conversation_send(c, "What is Hearth?");
    hearth_conversation_set_draft(c, "x");
    hearth_history_delete(w->history, c);
    stop(w);
    for (int i = 0; i < 200; i++) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(10000);
    }
    g_object_unref(c);
    start(w);
    end(w);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"ask, restart, read", ask_and_restart},
        {"keeps what is begun", keeps_what_is_begun},
        {"imports while folders change", imports_while_folders_change},
        {"versions", versions},
        {"stop and go on", stop_and_go_on},
        {"delete messages", delete_messages},
        {"delete conversations and folders", delete_conversations},
        {"leave while it is written", leave_while_writing},
        {"close while it is written", close_while_writing},
        {"a conversation's own settings", own_settings},
        {"no model", no_model},
        {"drafts", drafts},
        {"draft at the end", draft_at_the_end},
        {"send before it is loaded", send_before_it_is_loaded},
        {"restore while it stops", restore_while_it_stops},
        {"a deleted one outlives the history", deleted_one_outlives_the_history},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
