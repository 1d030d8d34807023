#include "fixture.h"

#include <glib/gstdio.h>
#include <sqlite3.h>

#define TEST_PART
#include "test.h"

#define PATIENCE 60 /* seconds, under sanitizers and on a busy machine */

typedef struct {
    bool done;
    GAsyncResult *result;
} Wait;

static void on_done(GObject *source, GAsyncResult *result, void *data)
{
    (void)source;
    Wait *wait = data;
    wait->done = true;
    wait->result = g_object_ref(result);
}

static gboolean give_up(gpointer data)
{
    (void)data;
    printf("Bail out! the store does not answer\n");
    exit(1);
}

/* Leaves wait->result. */
static void wait_for(Wait *wait)
{
    guint patience = g_timeout_add_seconds(PATIENCE, give_up, NULL);
    while (!wait->done) g_main_context_iteration(NULL, TRUE);
    g_source_remove(patience);
}

static void on_trouble(HearthStore *store, const char *sentence, Fixture *fixture)
{
    (void)store;
    if (!sentence) {
        fixture->n_well++;
        return;
    }
    fixture->n_trouble++;
    g_free(fixture->trouble);
    fixture->trouble = g_strdup(sentence);
}

void fixture_open(Fixture *fixture)
{
    fixture->store = hearth_store_new(fixture->path);
    g_signal_connect(fixture->store, "trouble", G_CALLBACK(on_trouble), fixture);
    fixture_try_again(fixture);
}

void fixture_try_again(Fixture *fixture)
{
    g_clear_pointer(&fixture->notice, g_free);
    g_clear_pointer(&fixture->refusal, g_free);
    Wait wait = {0};
    hearth_store_open_async(fixture->store, on_done, &wait);
    wait_for(&wait);
    g_autoptr(GError) error = NULL;
    if (!hearth_store_open_finish(fixture->store, wait.result, &fixture->notice, &error))
        fixture->refusal = g_strdup(error->message);
    g_object_unref(wait.result);
}

void fixture_init(Fixture *fixture)
{
    *fixture = (Fixture){.folder = g_dir_make_tmp("store-XXXXXX", NULL)};
    fixture->path = g_build_filename(fixture->folder, "history.db", NULL);
    fixture_open(fixture);
}

void fixture_init_memory(Fixture *fixture)
{
    *fixture = (Fixture){0};
    fixture_open(fixture);
}

void fixture_close(Fixture *fixture)
{
    if (!fixture->store) return;
    hearth_store_close(fixture->store, 10);
    while (g_main_context_iteration(NULL, FALSE)) {}
    g_signal_handlers_disconnect_by_data(fixture->store, fixture);
    CHECK_INT(G_OBJECT(fixture->store)->ref_count, 1);
    g_clear_object(&fixture->store);
}

static void remove_folder(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_remove(path);
    }
    g_rmdir(folder);
}

void fixture_clear(Fixture *fixture)
{
    fixture_close(fixture);
    if (fixture->folder) remove_folder(fixture->folder);
    g_free(fixture->folder);
    g_free(fixture->path);
    g_free(fixture->notice);
    g_free(fixture->refusal);
    g_free(fixture->trouble);
}

HearthOverview *fixture_overview(Fixture *fixture)
{
    Wait wait = {0};
    hearth_store_overview_async(fixture->store, NULL, on_done, &wait);
    wait_for(&wait);
    g_autoptr(GError) error = NULL;
    HearthOverview *overview = hearth_store_overview_finish(fixture->store, wait.result, &error);
    CHECK_MSG(overview, "no overview: %s", error ? error->message : "?");
    g_object_unref(wait.result);
    return overview;
}

GPtrArray *fixture_messages(Fixture *fixture, gint64 conversation)
{
    Wait wait = {0};
    hearth_store_messages_async(fixture->store, conversation, NULL, on_done, &wait);
    wait_for(&wait);
    g_autoptr(GError) error = NULL;
    GPtrArray *messages = hearth_store_messages_finish(fixture->store, wait.result, &error);
    CHECK_MSG(messages, "no messages: %s", error ? error->message : "?");
    g_object_unref(wait.result);
    return messages;
}

GPtrArray *fixture_unsent(Fixture *fixture, gint64 conversation)
{
    Wait wait = {0};
    hearth_store_unsent_async(fixture->store, conversation, NULL, on_done, &wait);
    wait_for(&wait);
    g_autoptr(GError) error = NULL;
    GPtrArray *rows = hearth_store_unsent_finish(fixture->store, wait.result, &error);
    CHECK_MSG(rows, "nothing unsent: %s", error ? error->message : "?");
    g_object_unref(wait.result);
    return rows;
}

gint64 fixture_put_unsent(Fixture *fixture, gint64 conversation, gint64 message, const char *name,
                          const char *content)
{
    HearthUnsentRow row = {.id = hearth_store_new_id(fixture->store),
                           .conversation = conversation,
                           .message = message,
                           .name = (char *)name,
                           .content = (char *)content};
    hearth_store_put_unsent(fixture->store, &row);
    return row.id;
}

void fixture_wait(Fixture *fixture) { hearth_overview_free(fixture_overview(fixture)); }

gint64 fixture_conversation(Fixture *fixture, const char *title)
{
    gint64 now = g_get_real_time();
    HearthConversationRow row = {.id = hearth_store_new_id(fixture->store),
                                 .title = (char *)title,
                                 .created = now,
                                 .updated = now};
    hearth_store_put_conversation(fixture->store, &row);
    return row.id;
}

gint64 fixture_message(Fixture *fixture, gint64 conversation, gint64 parent, HearthRole role,
                       const char *content)
{
    HearthMessageRow row = {.id = hearth_store_new_id(fixture->store),
                            .conversation = conversation,
                            .parent = parent,
                            .role = role,
                            .state = HEARTH_STATE_DONE,
                            .content = (char *)content,
                            .created = g_get_real_time()};
    hearth_store_put_message(fixture->store, &row);
    return row.id;
}

gint64 fixture_folder(Fixture *fixture, const char *name)
{
    HearthFolderRow row = {hearth_store_new_id(fixture->store), (char *)name};
    hearth_store_put_folder(fixture->store, &row);
    return row.id;
}

gint64 fixture_persona(Fixture *fixture, const char *name, const char *prompt)
{
    HearthPersonaRow row = {hearth_store_new_id(fixture->store), (char *)name, (char *)prompt};
    hearth_store_put_persona(fixture->store, &row);
    return row.id;
}

HearthConversationRow *find_conversation(HearthOverview *overview, gint64 id)
{
    for (guint i = 0; overview && i < overview->conversations->len; i++) {
        HearthConversationRow *row = overview->conversations->pdata[i];
        if (row->id == id) return row;
    }
    return NULL;
}

HearthMessageRow *find_message(GPtrArray *messages, gint64 id)
{
    for (guint i = 0; messages && i < messages->len; i++) {
        HearthMessageRow *row = messages->pdata[i];
        if (row->id == id) return row;
    }
    return NULL;
}

char *outside(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    char *value = NULL;
    const char *rest = sql;
    while (*rest) {
        sqlite3_stmt *statement = NULL;
        int rc = sqlite3_prepare_v2(db, rest, -1, &statement, &rest);
        CHECK_MSG(rc == SQLITE_OK, "%s: %s", sqlite3_errmsg(db), sql);
        if (rc) break;
        while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
            if (!value) value = g_strdup((const char *)sqlite3_column_text(statement, 0));
        CHECK_MSG(rc == SQLITE_DONE, "%s: %s", sqlite3_errmsg(db), sql);
        sqlite3_finalize(statement);
    }
    sqlite3_close(db);
    return value;
}

GPtrArray *fixture_search(Fixture *fixture, const char *text, guint limit)
{
    Wait wait = {0};
    hearth_store_search_async(fixture->store, text, limit, NULL, on_done, &wait);
    wait_for(&wait);
    g_autoptr(GError) error = NULL;
    GPtrArray *hits = hearth_store_search_finish(fixture->store, wait.result, &error);
    CHECK_MSG(hits, "no search: %s", error ? error->message : "?");
    g_object_unref(wait.result);
    return hits;
}

bool fixture_export(Fixture *fixture, gint64 conversation, HearthExportFormat format,
                    const char *path, GError **error)
{
    Wait wait = {0};
    g_autoptr(GFile) file = g_file_new_for_path(path);
    hearth_store_export_async(fixture->store, conversation, format, file, NULL, on_done, &wait);
    wait_for(&wait);
    bool ok = hearth_store_export_finish(fixture->store, wait.result, error);
    g_object_unref(wait.result);
    return ok;
}

bool fixture_import(Fixture *fixture, const char *path, guint *ret_n, GError **error)
{
    return fixture_import_sound(fixture, path, ret_n, NULL, error);
}

bool fixture_import_sound(Fixture *fixture, const char *path, guint *ret_n, char **ret_left_out,
                          GError **error)
{
    Wait wait = {0};
    g_autoptr(GFile) file = g_file_new_for_path(path);
    hearth_store_import_async(fixture->store, file, NULL, on_done, &wait);
    wait_for(&wait);
    bool ok = hearth_store_import_finish(fixture->store, wait.result, ret_n, ret_left_out, error);
    g_object_unref(wait.result);
    return ok;
}

static void drop_rows(GPtrArray *rows)
{
    if (rows) g_ptr_array_unref(rows);
}

void fixture_try_everything(Fixture *fixture)
{
    static const char *const queries[] = {"text", "文字", "te"};
    Wait first = {0};
    hearth_store_overview_async(fixture->store, NULL, on_done, &first);
    wait_for(&first);
    g_autoptr(HearthOverview) overview =
        hearth_store_overview_finish(fixture->store, first.result, NULL);
    g_object_unref(first.result);
    for (guint i = 0; overview && i < overview->conversations->len; i++) {
        HearthConversationRow *row = overview->conversations->pdata[i];
        Wait wait = {0};
        hearth_store_messages_async(fixture->store, row->id, NULL, on_done, &wait);
        wait_for(&wait);
        drop_rows(hearth_store_messages_finish(fixture->store, wait.result, NULL));
        g_object_unref(wait.result);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(queries); i++) {
        Wait wait = {0};
        hearth_store_search_async(fixture->store, queries[i], 50, NULL, on_done, &wait);
        wait_for(&wait);
        drop_rows(hearth_store_search_finish(fixture->store, wait.result, NULL));
        g_object_unref(wait.result);
    }
}
