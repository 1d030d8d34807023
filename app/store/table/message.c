#include "store/table/table.h"

static int put(HearthDb *db, const HearthMessageRow *row)
{
    const HearthStats *stats = &row->stats;
    return hearth_db_run(
        db,
        "INSERT INTO message (id, conversation, parent, role, state, created, prompt_tokens,"
        "  reused_tokens, tokens, prefill_s, decode_s, first_token_s, thinking_s, model, error,"
        "  content, thinking)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        " ON CONFLICT (id) DO UPDATE SET conversation = excluded.conversation,"
        "  parent = excluded.parent, role = excluded.role, state = excluded.state,"
        "  created = excluded.created, prompt_tokens = excluded.prompt_tokens,"
        "  reused_tokens = excluded.reused_tokens, tokens = excluded.tokens,"
        "  prefill_s = excluded.prefill_s, decode_s = excluded.decode_s,"
        "  first_token_s = excluded.first_token_s, thinking_s = excluded.thinking_s,"
        "  model = excluded.model, error = excluded.error, content = excluded.content,"
        "  thinking = excluded.thinking",
        "iiibbibbbddddtttt", row->id, row->conversation, row->parent, (int)row->role,
        (int)row->state, row->created, stats->prompt_tokens, stats->reused_tokens, stats->tokens,
        stats->prefill_s, stats->decode_s, stats->first_token_s, stats->thinking_s, row->model,
        row->error, row->content, row->thinking);
}

int hearth_table_message_put(HearthDb *db, const HearthMessageRow *row)
{
    int rc = put(db, row);
    if (rc != SQLITE_CONSTRAINT_FOREIGNKEY) return rc;
    /* Its conversation is still to come: a message is never lost for that. */
    rc = hearth_db_run(db, "INSERT OR IGNORE INTO conversation (id) VALUES (?1)", "i",
                       row->conversation);
    return rc ? rc : put(db, row);
}

int hearth_table_message_partial(HearthDb *db, gint64 id, HearthState state, const char *content,
                                 const char *thinking)
{
    return hearth_db_run(db,
                         "UPDATE message SET state = ?2, content = ?3, thinking = ?4 WHERE id = ?1",
                         "ibtt", id, (int)state, content, thinking);
}

int hearth_table_message_delete(HearthDb *db, gint64 id, gint64 now)
{
    return hearth_db_run(db,
                         "WITH RECURSIVE below (id) AS ("
                         "  SELECT id FROM message WHERE id = ?1 AND deleted_at IS NULL"
                         "  UNION"
                         "  SELECT m.id FROM below JOIN message m ON m.parent = below.id"
                         "   WHERE m.deleted_at IS NULL)"
                         " UPDATE message SET deleted_at = ?2, deletion = ?1"
                         "  WHERE id IN (SELECT id FROM below)",
                         "ii", id, now);
}

int hearth_table_message_restore(HearthDb *db, gint64 id)
{
    return hearth_db_run(db,
                         "UPDATE message SET deleted_at = NULL, deletion = 0"
                         " WHERE deletion = ?1 AND deletion <> 0",
                         "i", id);
}

static HearthMessageRow *read_row(sqlite3_stmt *statement)
{
    HearthMessageRow *row = g_new0(HearthMessageRow, 1);
    row->id = sqlite3_column_int64(statement, 0);
    row->conversation = sqlite3_column_int64(statement, 1);
    row->parent = sqlite3_column_int64(statement, 2);
    row->role = sqlite3_column_int(statement, 3) ? HEARTH_ROLE_ASSISTANT : HEARTH_ROLE_USER;
    int state = sqlite3_column_int(statement, 4);
    row->state = state < 0 || state > HEARTH_STATE_INTERRUPTED ? HEARTH_STATE_DONE : state;
    row->created = hearth_db_time(statement, 5);
    row->stats = (HearthStats){
        .prompt_tokens = sqlite3_column_int(statement, 6),
        .reused_tokens = sqlite3_column_int(statement, 7),
        .tokens = sqlite3_column_int(statement, 8),
        .prefill_s = sqlite3_column_double(statement, 9),
        .decode_s = sqlite3_column_double(statement, 10),
        .first_token_s = sqlite3_column_double(statement, 11),
        .thinking_s = sqlite3_column_double(statement, 12),
    };
    row->model = hearth_db_text(statement, 13);
    row->error = hearth_db_text(statement, 14);
    row->content = hearth_db_text(statement, 15);
    row->thinking = hearth_db_text(statement, 16);
    return row;
}

#define COLUMNS                                                                                    \
    "id, conversation, parent, role, state, created, prompt_tokens, reused_tokens, tokens,"        \
    " prefill_s, decode_s, first_token_s, thinking_s, model, error, content, thinking"

GPtrArray *hearth_table_message_list(HearthDb *db, gint64 conversation, gint64 after, int limit,
                                     int *ret_rc)
{
    sqlite3_stmt *statement = hearth_db_bind(
        db,
        "SELECT " COLUMNS " FROM message"
        " WHERE conversation = ?1 AND id > ?2 AND deleted_at IS NULL ORDER BY id LIMIT ?3",
        "iib", conversation, after, limit);
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)hearth_message_row_free);
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return NULL;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) g_ptr_array_add(rows, read_row(statement));
    *ret_rc = sqlite3_reset(statement);
    return *ret_rc ? NULL : g_steal_pointer(&rows);
}

HearthMessageRow *hearth_table_message_get(HearthDb *db, gint64 id, int *ret_rc)
{
    sqlite3_stmt *statement =
        hearth_db_bind(db, "SELECT " COLUMNS " FROM message WHERE id = ?1", "i", id);
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return NULL;
    }
    HearthMessageRow *row = sqlite3_step(statement) == SQLITE_ROW ? read_row(statement) : NULL;
    *ret_rc = sqlite3_reset(statement);
    return row;
}

int hearth_table_message_interrupt(HearthDb *db)
{
    G_STATIC_ASSERT(HEARTH_STATE_DONE == 10 && HEARTH_STATE_INTERRUPTED == 15);
    return hearth_db_run(db, "UPDATE message SET state = 15 WHERE state < 10", "");
}
