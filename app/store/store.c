#include "store/store.h"

#include <glib/gi18n.h>

#include "store/files/export.h"
#include "store/files/import.h"
#include "store/opening.h"
#include "store/purge.h"
#include "store/search/search.h"
#include "store/store_thread.h"
#include "store/table/table.h"

#define KEEP_DELETED (30 * G_TIME_SPAN_DAY)
#define LARGEST_ID (G_MAXINT64 / 2) /* another program's; there must be room behind it */

struct _HearthStore {
    GObject parent_instance;
    HearthStoreThread *thread;
};

G_DEFINE_FINAL_TYPE(HearthStore, hearth_store, G_TYPE_OBJECT)

static void dispose(GObject *object)
{
    HearthStore *self = HEARTH_STORE(object);
    if (self->thread) hearth_store_thread_close(self->thread, 0);
    G_OBJECT_CLASS(hearth_store_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    HearthStore *self = HEARTH_STORE(object);
    hearth_store_thread_free(self->thread);
    G_OBJECT_CLASS(hearth_store_parent_class)->finalize(object);
}

static void hearth_store_class_init(HearthStoreClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    G_OBJECT_CLASS(class)->finalize = finalize;
    g_signal_new("trouble", HEARTH_TYPE_STORE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
                 1, G_TYPE_STRING);
}

static void hearth_store_init(HearthStore *self) { (void)self; }

HearthStore *hearth_store_new(const char *path)
{
    HearthStore *self = g_object_new(HEARTH_TYPE_STORE, NULL);
    self->thread = hearth_store_thread_new(path, G_OBJECT(self));
    return self;
}

void hearth_store_close(HearthStore *self, int seconds)
{
    g_return_if_fail(HEARTH_IS_STORE(self));
    hearth_store_thread_close(self->thread, seconds);
}

gint64 hearth_store_new_id(HearthStore *self)
{
    return hearth_store_thread_new_ids(self->thread, 1);
}

static HearthRead *new_read(HearthStore *self, HearthReadRun run, GDestroyNotify free_result,
                            GCancellable *cancellable, GAsyncReadyCallback done, void *data)
{
    HearthRead *read = g_new0(HearthRead, 1);
    read->task = g_task_new(self, cancellable, done, data);
    read->run = run;
    read->free_result = free_result;
    return read;
}

/* ---- deleting for good ----------------------------------------------------------------------- */

static void purge_free(HearthPurge *purge)
{
    g_clear_pointer(&purge->only, g_array_unref);
    g_free(purge);
}

/* What fails here is tried again at the next opening. */
static HearthReadState run_purge(HearthRead *read, HearthDb *db, GError **error)
{
    HearthPurge *purge = read->data;
    (void)error;
    if (!purge->before) { /* the first slice may lie in somebody else's transaction */
        purge->before = g_get_real_time() - KEEP_DELETED;
        return HEARTH_READ_MORE;
    }
    bool more;
    if (hearth_purge_step(purge, db, &more)) return HEARTH_READ_DONE;
    return more ? HEARTH_READ_MORE : HEARTH_READ_DONE;
}

/* Takes `only`. The task holds no reference: a store may end in the middle. */
static void start_purge(HearthStore *self, gint64 last_id, GArray *only)
{
    HearthRead *read = new_read(NULL, run_purge, NULL, NULL, NULL, NULL);
    HearthPurge *purge = g_new0(HearthPurge, 1);
    purge->last_id = last_id;
    purge->only = only;
    read->data = purge;
    read->free_data = (GDestroyNotify)purge_free;
    hearth_store_thread_read(self->thread, read);
}

/* ---- opening --------------------------------------------------------------------------------- */

static HearthReadState run_open(HearthRead *read, HearthDb *none, GError **error)
{
    (void)none;
    char *notice;
    g_autoptr(GError) refused = NULL;
    HearthDb *db =
        hearth_opening_run(hearth_store_thread_get_path(read->thread), &notice, &refused);
    read->result = notice;
    if (refused && hearth_store_thread_is_open(read->thread)) { /* tried again, in vain */
        hearth_db_free(db);
        g_propagate_error(error, g_steal_pointer(&refused));
        return HEARTH_READ_FAILED;
    }
    int rc;
    gint64 last = hearth_db_number(
        db,
        "SELECT max((SELECT coalesce(max(id), 0) FROM conversation),"
        "  (SELECT coalesce(max(id), 0) FROM message), (SELECT coalesce(max(id), 0) FROM folder),"
        "  (SELECT coalesce(max(id), 0) FROM persona), (SELECT coalesce(max(id), 0) FROM unsent))",
        &rc);
    hearth_store_thread_set_db(read->thread, db, refused != NULL, last < LARGEST_ID ? last : 0);
    if (!refused) return HEARTH_READ_DONE;
    g_propagate_error(error, g_steal_pointer(&refused));
    return HEARTH_READ_FAILED;
}

void hearth_store_open_async(HearthStore *self, GAsyncReadyCallback done, void *data)
{
    hearth_store_thread_open(self->thread, new_read(self, run_open, g_free, NULL, done, data));
}

bool hearth_store_open_finish(HearthStore *self, GAsyncResult *result, char **ret_notice,
                              GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), false);
    start_purge(self, hearth_store_thread_new_ids(self->thread, 0) - 1, NULL);
    g_autoptr(GError) refused = NULL;
    g_autofree char *notice = g_task_propagate_pointer(G_TASK(result), &refused);
    if (refused) {
        g_propagate_error(error, g_steal_pointer(&refused));
        return false;
    }
    if (ret_notice) *ret_notice = g_steal_pointer(&notice);
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put(HearthStore *self, HearthWriteKind kind, gint64 id, void *row)
{
    hearth_store_thread_write(self->thread, hearth_write_new_row(kind, id, row));
}

void hearth_store_put_conversation(HearthStore *self, const HearthConversationRow *row)
{
    put(self, HEARTH_WRITE_CONVERSATION, row->id, hearth_conversation_row_copy(row));
}

void hearth_store_put_message(HearthStore *self, const HearthMessageRow *row)
{
    put(self, HEARTH_WRITE_MESSAGE, row->id, hearth_message_row_copy(row));
}

void hearth_store_put_folder(HearthStore *self, const HearthFolderRow *row)
{
    put(self, HEARTH_WRITE_FOLDER, row->id, hearth_folder_row_copy(row));
}

void hearth_store_put_persona(HearthStore *self, const HearthPersonaRow *row)
{
    put(self, HEARTH_WRITE_PERSONA, row->id, hearth_persona_row_copy(row));
}

void hearth_store_put_unsent(HearthStore *self, const HearthUnsentRow *row)
{
    put(self, HEARTH_WRITE_UNSENT, row->id, hearth_unsent_row_copy(row));
}

void hearth_store_write_partial(HearthStore *self, gint64 message, HearthState state,
                                const char *content, const char *thinking)
{
    hearth_store_thread_write(self->thread,
                              hearth_write_new_partial(message, state, content, thinking));
}

void hearth_store_delete(HearthStore *self, HearthTable table, gint64 id)
{
    hearth_store_thread_write(self->thread, hearth_write_new_delete(table, id));
}

void hearth_store_restore(HearthStore *self, HearthTable table, gint64 id)
{
    hearth_store_thread_write(self->thread, hearth_write_new_restore(table, id));
}

/* ---- reading --------------------------------------------------------------------------------- */

void hearth_overview_free(HearthOverview *overview)
{
    if (!overview) return;
    g_clear_pointer(&overview->conversations, g_ptr_array_unref);
    g_clear_pointer(&overview->folders, g_ptr_array_unref);
    g_clear_pointer(&overview->personas, g_ptr_array_unref);
    g_free(overview);
}

/* As a person sorts: by the locale, capitals beside small letters. */
static int compare_names(const char *a, const char *b)
{
    g_autofree char *x = g_utf8_casefold(a, -1), *y = g_utf8_casefold(b, -1);
    return g_utf8_collate(x, y);
}

static int compare_folders(const HearthFolderRow **a, const HearthFolderRow **b)
{
    return compare_names((*a)->name, (*b)->name);
}

static int compare_personas(const HearthPersonaRow **a, const HearthPersonaRow **b)
{
    return compare_names((*a)->name, (*b)->name);
}

static HearthReadState run_overview(HearthRead *read, HearthDb *db, GError **error)
{
    g_autoptr(HearthOverview) overview = g_new0(HearthOverview, 1);
    int rc;
    overview->conversations = hearth_table_conversation_list(db, 0, &rc);
    if (!rc) overview->folders = hearth_table_folder_list(db, &rc);
    if (!rc) overview->personas = hearth_table_persona_list(db, &rc);
    if (rc) {
        hearth_db_error(error, db, rc);
        return HEARTH_READ_FAILED;
    }
    g_ptr_array_sort(overview->folders, (GCompareFunc)compare_folders);
    g_ptr_array_sort(overview->personas, (GCompareFunc)compare_personas);
    read->result = g_steal_pointer(&overview);
    return HEARTH_READ_DONE;
}

void hearth_store_overview_async(HearthStore *self, GCancellable *cancellable,
                                 GAsyncReadyCallback done, void *data)
{
    hearth_store_thread_read(self->thread,
                             new_read(self, run_overview, (GDestroyNotify)hearth_overview_free,
                                      cancellable, done, data));
}

HearthOverview *hearth_store_overview_finish(HearthStore *self, GAsyncResult *result,
                                             GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

/* What `run` reads of one conversation: an array of rows. */
static void read_of(HearthStore *self, gint64 conversation, HearthReadRun run,
                    GCancellable *cancellable, GAsyncReadyCallback done, void *data)
{
    HearthRead *read =
        new_read(self, run, (GDestroyNotify)g_ptr_array_unref, cancellable, done, data);
    read->data = g_memdup2(&conversation, sizeof conversation);
    read->free_data = g_free;
    hearth_store_thread_read(self->thread, read);
}

static HearthReadState end_read(HearthDb *db, int rc, GError **error)
{
    if (!rc) return HEARTH_READ_DONE;
    hearth_db_error(error, db, rc);
    return HEARTH_READ_FAILED;
}

static HearthReadState run_messages(HearthRead *read, HearthDb *db, GError **error)
{
    int rc;
    read->result = hearth_table_message_list(db, *(gint64 *)read->data, 0, -1, &rc);
    return end_read(db, rc, error);
}

void hearth_store_messages_async(HearthStore *self, gint64 conversation, GCancellable *cancellable,
                                 GAsyncReadyCallback done, void *data)
{
    read_of(self, conversation, run_messages, cancellable, done, data);
}

GPtrArray *hearth_store_messages_finish(HearthStore *self, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

static HearthReadState run_unsent(HearthRead *read, HearthDb *db, GError **error)
{
    int rc;
    read->result = hearth_table_unsent_list(db, *(gint64 *)read->data, &rc);
    return end_read(db, rc, error);
}

void hearth_store_unsent_async(HearthStore *self, gint64 conversation, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data)
{
    read_of(self, conversation, run_unsent, cancellable, done, data);
}

GPtrArray *hearth_store_unsent_finish(HearthStore *self, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

/* ---- searching ------------------------------------------------------------------------------- */

typedef struct {
    char *text;
    guint limit;
} Query;

static void query_free(Query *query)
{
    g_free(query->text);
    g_free(query);
}

static HearthReadState run_search(HearthRead *read, HearthDb *db, GError **error)
{
    Query *query = read->data;
    int rc;
    read->result = hearth_search_run(db, query->text, query->limit, &rc);
    return end_read(db, rc, error);
}

void hearth_store_search_async(HearthStore *self, const char *text, guint limit,
                               GCancellable *cancellable, GAsyncReadyCallback done, void *data)
{
    HearthRead *read =
        new_read(self, run_search, (GDestroyNotify)g_ptr_array_unref, cancellable, done, data);
    Query *query = g_new0(Query, 1);
    query->text = g_strdup(text);
    query->limit = limit;
    read->data = query;
    read->free_data = (GDestroyNotify)query_free;
    hearth_store_thread_read(self->thread, read);
}

GPtrArray *hearth_store_search_finish(HearthStore *self, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

/* ---- files ----------------------------------------------------------------------------------- */

static HearthReadState run_export(HearthRead *read, HearthDb *db, GError **error)
{
    bool more;
    if (!hearth_export_step(read->data, db, g_task_get_cancellable(read->task), &more, error))
        return HEARTH_READ_FAILED;
    return more ? HEARTH_READ_MORE : HEARTH_READ_DONE;
}

void hearth_store_export_async(HearthStore *self, gint64 conversation, HearthExportFormat format,
                               GFile *file, GCancellable *cancellable, GAsyncReadyCallback done,
                               void *data)
{
    HearthRead *read = new_read(self, run_export, NULL, cancellable, done, data);
    read->data = hearth_export_new(conversation, format, file);
    read->free_data = (GDestroyNotify)hearth_export_free;
    hearth_store_thread_read(self->thread, read);
}

bool hearth_store_export_finish(HearthStore *self, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), false);
    return g_task_propagate_boolean(G_TASK(result), error);
}

/* GLib's own pool hides from ThreadSanitizer what it hands over; a thread for this is cheap. */
typedef struct {
    HearthStore *store; /* the task keeps it alive */
    HearthImport *import;
    GThread *reader;
} Importing;

/* What did not get to its end goes at once: the disk may be full of it. */
static void importing_free(Importing *importing)
{
    HearthImport *import = importing->import;
    g_thread_join(importing->reader); /* handing over was the last that it did */
    if (!import->finished && import->staged->len)
        start_purge(importing->store, 0, g_steal_pointer(&import->staged));
    hearth_import_free(import);
    g_free(importing);
}

typedef struct {
    guint n;
    char *left_out; /* a sentence, or NULL */
} Imported;

static void imported_free(Imported *imported)
{
    g_free(imported->left_out);
    g_free(imported);
}

static gint64 new_ids(void *thread, guint n) { return hearth_store_thread_new_ids(thread, n); }

static HearthReadState run_import(HearthRead *read, HearthDb *db, GError **error)
{
    HearthImport *import = ((Importing *)read->data)->import;
    bool more;
    if (hearth_store_thread_stands_in(read->thread)) {
        hearth_error(error, HEARTH_ERROR_FAILED,
                     _("Nothing was imported: the chat history cannot be saved at the moment."));
        return HEARTH_READ_FAILED;
    }
    if (!hearth_import_step(import, db, new_ids, read->thread, &more, error))
        return HEARTH_READ_FAILED;
    if (more) return HEARTH_READ_MORE;
    Imported *imported = read->result = g_new0(Imported, 1);
    imported->n = import->conversations->len;
    if (import->left_out)
        imported->left_out = g_strdup_printf(
            /* Translators: %s is why, as a part of a sentence */
            ngettext("%u conversation was left out, since %s.",
                     "%u conversations were left out, the first one since %s.", import->left_out),
            import->left_out, import->why);
    return HEARTH_READ_DONE;
}

/* On a thread of its own. */
static gpointer read_file(gpointer data)
{
    HearthRead *read = data;
    HearthImport *import = ((Importing *)read->data)->import;
    GError *error = NULL;
    if (hearth_import_read(import, g_task_get_cancellable(read->task), &error))
        hearth_store_thread_read(read->thread, read);
    else
        hearth_store_thread_refuse(read, error);
    return NULL;
}

void hearth_store_import_async(HearthStore *self, GFile *file, GCancellable *cancellable,
                               GAsyncReadyCallback done, void *data)
{
    HearthRead *read =
        new_read(self, run_import, (GDestroyNotify)imported_free, cancellable, done, data);
    Importing *importing = g_new0(Importing, 1);
    importing->store = self;
    importing->import = hearth_import_new(file);
    read->data = importing;
    read->free_data = (GDestroyNotify)importing_free;
    read->thread = self->thread;
    importing->reader = g_thread_new("import", read_file, read);
}

bool hearth_store_import_finish(HearthStore *self, GAsyncResult *result, guint *ret_n,
                                char **ret_left_out, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, self), false);
    Imported *imported = g_task_propagate_pointer(G_TASK(result), error);
    if (!imported) return false;
    if (ret_n) *ret_n = imported->n;
    if (ret_left_out) *ret_left_out = g_steal_pointer(&imported->left_out);
    imported_free(imported);
    return true;
}
