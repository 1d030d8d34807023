/* The chat history: SQLite (history.db in the data folder) on a thread of its own.
 *
 * The main thread never waits for it. Writes are enqueued and return at once; they happen in the
 * order of the calls, many of them in one transaction. A write that fails (disk full) stays at the
 * head of the queue and is tried again every few seconds, with the "trouble" signal telling so:
 * nothing is dropped. Reads are _async/_finish pairs, and see every write enqueued before them.
 *
 * WAL, foreign keys, migrations by user_version. A database that is damaged or was written by a
 * newer Hearth is moved aside untouched (history.db.damaged-DATE, with its -wal), a new one begins,
 * and hearth_store_open_finish tells the sentence to show. Deleting is soft (deleted_at), final
 * after 30 days. A file that cannot be opened now is left alone, and all goes on in memory. What
 * was running at the last end of the program is HEARTH_STATE_INTERRUPTED after opening. */
#ifndef HEARTH_STORE_H
#define HEARTH_STORE_H

#include <gio/gio.h>

#include "store/rows.h"

#define HEARTH_TYPE_STORE (hearth_store_get_type())
G_DECLARE_FINAL_TYPE(HearthStore, hearth_store, HEARTH, STORE, GObject)

/* Signals, on the main thread:
 *   "trouble" (const char *sentence)   a write failed and will be tried again; NULL: all is well
 *                                      again */

/* `path` of the database file, or NULL: in memory, for tests. Starts the thread. */
HearthStore *hearth_store_new(const char *path);

/* Again after a failure: tries again, and what was written meanwhile goes to the file.
 * *ret_notice: NULL, or the sentence about a database that was set aside; g_free(). */
void hearth_store_open_async(HearthStore *store, GAsyncReadyCallback done, void *data);
bool hearth_store_open_finish(HearthStore *store, GAsyncResult *result, char **ret_notice,
                              GError **error);

/* Writes all that is enqueued, closes the database, ends the thread. Blocks; only at the end of the
 * program. Idempotent. Gives up after `seconds` when the disk refuses. */
void hearth_store_close(HearthStore *store, int seconds);

/* Unique, rising; at any time. */
gint64 hearth_store_new_id(HearthStore *store);

/* ---- writing: enqueued, in order, never waits; rows are copied ------------------------------- */

/* Insert or replace. */
void hearth_store_put_conversation(HearthStore *store, const HearthConversationRow *row);
void hearth_store_put_message(HearthStore *store, const HearthMessageRow *row);
void hearth_store_put_folder(HearthStore *store, const HearthFolderRow *row);
void hearth_store_put_persona(HearthStore *store, const HearthPersonaRow *row);
void hearth_store_put_unsent(HearthStore *store, const HearthUnsentRow *row);

/* The answer so far: replaces content and thinking and sets the state. Two of them for the same
 * message in the queue become one. */
void hearth_store_write_partial(HearthStore *store, gint64 message, HearthState state,
                                const char *content, const char *thinking);

typedef enum {
    HEARTH_TABLE_CONVERSATION,
    HEARTH_TABLE_MESSAGE, /* with all messages below it in the tree */
    HEARTH_TABLE_FOLDER,  /* its conversations move out of it */
    HEARTH_TABLE_PERSONA,
    HEARTH_TABLE_UNSENT /* at once for good */
} HearthTable;

/* Soft: hearth_store_restore brings back exactly what this call took away. */
void hearth_store_delete(HearthStore *store, HearthTable table, gint64 id);
void hearth_store_restore(HearthStore *store, HearthTable table, gint64 id);

/* ---- reading --------------------------------------------------------------------------------- */

/* What the sidebar needs, without messages. */
typedef struct {
    GPtrArray *conversations; /* of HearthConversationRow, newest first */
    GPtrArray *folders;       /* of HearthFolderRow, by name */
    GPtrArray *personas;      /* of HearthPersonaRow, by name */
} HearthOverview;
void hearth_overview_free(HearthOverview *overview);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthOverview, hearth_overview_free)

void hearth_store_overview_async(HearthStore *store, GCancellable *cancellable,
                                 GAsyncReadyCallback done, void *data);
HearthOverview *hearth_store_overview_finish(HearthStore *store, GAsyncResult *result,
                                             GError **error);

/* All messages of a conversation, every branch, by id: GPtrArray of HearthMessageRow. */
void hearth_store_messages_async(HearthStore *store, gint64 conversation, GCancellable *cancellable,
                                 GAsyncReadyCallback done, void *data);
GPtrArray *hearth_store_messages_finish(HearthStore *store, GAsyncResult *result, GError **error);

/* What of a conversation waits to be sent, by id: GPtrArray of HearthUnsentRow. */
void hearth_store_unsent_async(HearthStore *store, gint64 conversation, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data);
GPtrArray *hearth_store_unsent_finish(HearthStore *store, GAsyncResult *result, GError **error);

/* Over titles and text; words in any order, the last one may be unfinished. Newest first, at most
 * `limit`, one HearthHit per conversation. A cancelled search stops in mid-query. */
void hearth_store_search_async(HearthStore *store, const char *text, guint limit,
                               GCancellable *cancellable, GAsyncReadyCallback done, void *data);
GPtrArray *hearth_store_search_finish(HearthStore *store, GAsyncResult *result, GError **error);

/* ---- files ----------------------------------------------------------------------------------- */

typedef enum {
    HEARTH_EXPORT_MARKDOWN, /* the shown branch of each conversation */
    HEARTH_EXPORT_JSON      /* everything: all branches, options, times; import reads it */
} HearthExportFormat;

/* `conversation` 0 = all of them. Written to a temporary file and renamed. */
void hearth_store_export_async(HearthStore *store, gint64 conversation, HearthExportFormat format,
                               GFile *file, GCancellable *cancellable, GAsyncReadyCallback done,
                               void *data);
bool hearth_store_export_finish(HearthStore *store, GAsyncResult *result, GError **error);

/* Adds the conversations of a JSON export with new ids: each of them whole or not at all, all at
 * once; a file with none that is right changes nothing. *ret_n: conversations added; *ret_left_out:
 * a sentence about the others, or NULL; g_free(). */
void hearth_store_import_async(HearthStore *store, GFile *file, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data);
bool hearth_store_import_finish(HearthStore *store, GAsyncResult *result, guint *ret_n,
                                char **ret_left_out, GError **error);

#endif
