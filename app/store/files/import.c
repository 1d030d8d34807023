#include "store/files/import.h"

#include "store/table/table.h"

#define SLICE_TIME (20 * G_TIME_SPAN_MILLISECOND)

static void imported_free(HearthImportedConversation *conversation)
{
    hearth_conversation_row_free(conversation->row);
    g_ptr_array_unref(conversation->messages);
    g_free(conversation);
}

HearthImport *hearth_import_new(GFile *file)
{
    HearthImport *self = g_new0(HearthImport, 1);
    self->file = file ? g_object_ref(file) : NULL;
    self->folders = g_ptr_array_new_with_free_func((GDestroyNotify)hearth_folder_row_free);
    self->personas = g_ptr_array_new_with_free_func((GDestroyNotify)hearth_persona_row_free);
    self->conversations = g_ptr_array_new_with_free_func((GDestroyNotify)imported_free);
    self->staged = g_array_new(FALSE, FALSE, sizeof(gint64));
    return self;
}

void hearth_import_free(HearthImport *self)
{
    if (!self) return;
    g_clear_object(&self->file);
    g_ptr_array_unref(self->folders);
    g_ptr_array_unref(self->personas);
    g_ptr_array_unref(self->conversations);
    g_clear_pointer(&self->staged, g_array_unref); /* may have been taken */
    g_free(self->why);
    g_free(self);
}

/* ---- the messages, out of sight -------------------------------------------------------------- */

/* The new id of a message that is at hand by its old one: they are sorted by it. */
static gint64 renumbered(const GPtrArray *messages, gint64 old, gint64 first)
{
    guint low = 0, high = messages->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (((HearthMessageRow *)messages->pdata[middle])->id < old)
            low = middle + 1;
        else
            high = middle;
    }
    return first + low;
}

/* Gives the conversation at hand and its messages their new ids. */
static void renumber(HearthImportedConversation *conversation, gint64 first)
{
    GPtrArray *messages = conversation->messages;
    HearthConversationRow *row = conversation->row;
    row->id = first++;
    if (row->head) row->head = renumbered(messages, row->head, first);
    g_autofree gint64 *parents = g_new(gint64, MAX(1, messages->len));
    for (guint i = 0; i < messages->len; i++) {
        gint64 parent = ((HearthMessageRow *)messages->pdata[i])->parent;
        parents[i] = parent ? renumbered(messages, parent, first) : 0;
    }
    for (guint i = 0; i < messages->len; i++) {
        HearthMessageRow *message = messages->pdata[i];
        message->id = first + i;
        message->parent = parents[i];
        message->conversation = row->id;
    }
}

/* Some of the messages. */
static int stage(HearthImport *self, HearthDb *db, HearthImportIds new_ids, void *ids_data)
{
    HearthImportedConversation *conversation = self->conversations->pdata[self->at];
    GPtrArray *messages = conversation->messages;
    int rc = SQLITE_OK;
    if (self->message == 0) {
        renumber(conversation, new_ids(ids_data, messages->len + 1));
        g_array_append_val(self->staged, conversation->row->id);
        rc = hearth_db_run(db, "INSERT INTO conversation (id, deleted_at) VALUES (?1, ?2)", "ib",
                           conversation->row->id, HEARTH_IMPORT_STAGED);
    }
    for (int i = 0; !rc && i < 50 && self->message < messages->len; i++)
        rc = hearth_table_message_put(db, messages->pdata[self->message++]);
    if (self->message < messages->len) return rc;
    self->message = 0;
    self->at++;
    return rc;
}

static int stage_slice(HearthImport *self, HearthDb *db, HearthImportIds new_ids, void *ids_data)
{
    gint64 until = g_get_monotonic_time() + SLICE_TIME;
    int rc = hearth_db_exec(db, "BEGIN IMMEDIATE");
    while (!rc && self->at < self->conversations->len && g_get_monotonic_time() < until)
        rc = stage(self, db, new_ids, ids_data);
    return rc ? rc : hearth_db_exec(db, "COMMIT");
}

/* ---- the rest, into sight -------------------------------------------------------------------- */

/* Old id → new one. A folder of the same name is the same folder. */
static int put_folders(HearthImport *self, HearthDb *db, gint64 first, GHashTable *map)
{
    int rc;
    g_autoptr(GPtrArray) there = hearth_table_folder_list(db, &rc);
    for (guint i = 0; !rc && i < self->folders->len; i++) {
        HearthFolderRow *row = self->folders->pdata[i];
        gint64 old = row->id;
        row->id = first + i;
        bool found = false;
        for (guint k = 0; k < there->len && !found; k++) {
            HearthFolderRow *other = there->pdata[k];
            found = g_strcmp0(other->name, row->name) == 0;
            if (found) row->id = other->id;
        }
        g_hash_table_insert(map, g_memdup2(&old, sizeof old), &row->id);
        if (!found) rc = hearth_table_folder_put(db, row);
    }
    return rc;
}

static int put_personas(HearthImport *self, HearthDb *db, gint64 first, GHashTable *map)
{
    int rc;
    g_autoptr(GPtrArray) there = hearth_table_persona_list(db, &rc);
    for (guint i = 0; !rc && i < self->personas->len; i++) {
        HearthPersonaRow *row = self->personas->pdata[i];
        gint64 old = row->id;
        row->id = first + i;
        bool found = false;
        for (guint k = 0; k < there->len && !found; k++) {
            HearthPersonaRow *other = there->pdata[k];
            found = g_strcmp0(other->name, row->name) == 0 &&
                    g_strcmp0(other->prompt, row->prompt) == 0;
            if (found) row->id = other->id;
        }
        g_hash_table_insert(map, g_memdup2(&old, sizeof old), &row->id);
        if (!found) rc = hearth_table_persona_put(db, row);
    }
    return rc;
}

static gint64 mapped(GHashTable *map, gint64 old)
{
    const gint64 *id = g_hash_table_lookup(map, &old);
    return id ? *id : 0;
}

static int show(HearthImport *self, HearthDb *db, HearthImportIds new_ids, void *ids_data)
{
    g_autoptr(GHashTable) folders =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GHashTable) personas =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    guint n_folders = self->folders->len, n_personas = self->personas->len;
    gint64 first = new_ids(ids_data, n_folders + n_personas);
    int rc = hearth_db_exec(db, "BEGIN IMMEDIATE");
    if (!rc) rc = put_folders(self, db, first, folders);
    if (!rc) rc = put_personas(self, db, first + n_folders, personas);
    for (guint i = 0; !rc && i < self->conversations->len; i++) {
        HearthConversationRow *row =
            ((HearthImportedConversation *)self->conversations->pdata[i])->row;
        row->folder = mapped(folders, row->folder);
        row->persona = mapped(personas, row->persona);
        rc = hearth_table_conversation_put(db, row);
        if (!rc) rc = hearth_table_conversation_restore(db, row->id);
    }
    return rc ? rc : hearth_db_exec(db, "COMMIT");
}

bool hearth_import_step(HearthImport *self, HearthDb *db, HearthImportIds new_ids, void *ids_data,
                        bool *ret_more, GError **error)
{
    *ret_more = true;
    if (!self->begun) { /* the first slice may lie in somebody else's transaction */
        self->begun = true;
        return true;
    }
    bool staging = self->at < self->conversations->len;
    int rc = staging ? stage_slice(self, db, new_ids, ids_data) : show(self, db, new_ids, ids_data);
    if (rc) {
        hearth_db_error(error, db, rc);
        if (!sqlite3_get_autocommit(hearth_db_get_sqlite(db))) hearth_db_exec(db, "ROLLBACK");
        return false;
    }
    self->finished = !staging;
    *ret_more = staging;
    return true;
}
