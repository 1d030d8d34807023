/* What a person has begun beside the draft: files attached to it, and messages that are being
 * edited. Files are written at once, edits with the row, like the draft. */
#include "chat/conversation_private.h"

static HearthStore *store_of(HearthConversation *c) { return hearth_history_get_store(c->history); }

static void told(HearthConversation *c) { g_object_notify(G_OBJECT(c), "n-attachments"); }

/* ---- files ----------------------------------------------------------------------------------- */

const GPtrArray *hearth_conversation_get_attachments(HearthConversation *c)
{
    return c->attachments;
}

void hearth_conversation_attach(HearthConversation *c, const char *name, const char *text)
{
    if (!c->history) return;
    HearthUnsentRow row = {.id = hearth_store_new_id(store_of(c)),
                           .conversation = c->row.id,
                           .name = (char *)name,
                           .content = (char *)text};
    g_ptr_array_add(c->attachments, hearth_unsent_row_copy(&row));
    if (!c->stored) hearth_conversation_put(c); /* before what refers to it */
    hearth_store_put_unsent(store_of(c), &row);
    told(c);
}

void hearth_conversation_detach(HearthConversation *c, gint64 id)
{
    guint had = c->attachments->len;
    for (guint i = had; i-- > 0;) {
        gint64 one = ((HearthUnsentRow *)c->attachments->pdata[i])->id;
        if (id && one != id) continue;
        if (c->history) hearth_store_delete(store_of(c), HEARTH_TABLE_UNSENT, one);
        g_ptr_array_remove_index(c->attachments, i);
    }
    if (had != c->attachments->len) told(c);
}

/* ---- edits ----------------------------------------------------------------------------------- */

const char *hearth_conversation_get_edit(HearthConversation *c, gint64 message)
{
    const HearthUnsentRow *row = g_hash_table_lookup(c->edits, &message);
    return row ? row->content : NULL;
}

static void keep(HearthConversation *c, HearthUnsentRow *row)
{
    g_hash_table_replace(c->edits, &row->message, row);
}

void hearth_conversation_set_edit(HearthConversation *c, gint64 message, const char *text)
{
    const HearthUnsentRow *before = g_hash_table_lookup(c->edits, &message);
    if (!c->history || (before && g_strcmp0(before->content, text) == 0)) return;
    if (text) {
        HearthUnsentRow row = {.id = before ? before->id : hearth_store_new_id(store_of(c)),
                               .conversation = c->row.id,
                               .message = message,
                               .content = (char *)text};
        keep(c, hearth_unsent_row_copy(&row));
        hearth_conversation_put_soon(c);
    } else if (before) {
        hearth_store_delete(store_of(c), HEARTH_TABLE_UNSENT, before->id);
        g_hash_table_remove(c->edits, &message);
    }
}

void hearth_unsent_put(HearthConversation *c)
{
    GHashTableIter iter;
    void *row;
    g_hash_table_iter_init(&iter, c->edits);
    while (g_hash_table_iter_next(&iter, NULL, &row)) hearth_store_put_unsent(store_of(c), row);
}

/* ---- loading --------------------------------------------------------------------------------- */

static bool is_attached(HearthConversation *c, gint64 id)
{
    for (guint i = 0; i < c->attachments->len; i++)
        if (((HearthUnsentRow *)c->attachments->pdata[i])->id == id) return true;
    return false;
}

/* What was attached meanwhile is newer. */
static void rows_came(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(HearthConversation) c = data;
    g_autoptr(GPtrArray) rows = hearth_store_unsent_finish(HEARTH_STORE(store), result, NULL);
    guint n = 0;
    for (guint i = 0; rows && i < rows->len; i++) {
        const HearthUnsentRow *row = rows->pdata[i];
        if (row->message && !hearth_conversation_get_edit(c, row->message))
            keep(c, hearth_unsent_row_copy(row));
        else if (!row->message && !is_attached(c, row->id))
            g_ptr_array_insert(c->attachments, (int)n++, hearth_unsent_row_copy(row));
    }
    if (n) told(c);
}

void hearth_unsent_load(HearthConversation *c, GCancellable *cancellable)
{
    hearth_store_unsent_async(store_of(c), c->row.id, cancellable, rows_came, g_object_ref(c));
}

void hearth_unsent_let_go(HearthConversation *c)
{
    g_ptr_array_set_size(c->attachments, 0);
    g_hash_table_remove_all(c->edits);
}

void hearth_unsent_init(HearthConversation *c)
{
    c->attachments = g_ptr_array_new_with_free_func((GDestroyNotify)hearth_unsent_row_free);
    c->edits = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL,
                                     (GDestroyNotify)hearth_unsent_row_free);
}

void hearth_unsent_clear(HearthConversation *c)
{
    g_ptr_array_unref(c->attachments);
    g_hash_table_unref(c->edits);
}
