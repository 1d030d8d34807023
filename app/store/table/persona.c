#include "store/table/table.h"

int hearth_table_persona_put(HearthDb *db, const HearthPersonaRow *row)
{
    g_autofree char *name = hearth_name_clean(row->name);
    return hearth_db_run(db,
                         "INSERT INTO persona (id, name, prompt) VALUES (?1, ?2, ?3)"
                         " ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
                         "  prompt = excluded.prompt",
                         "itt", row->id, name, row->prompt);
}

/* Conversations keep the reference: a restored persona is theirs again. */
int hearth_table_persona_delete(HearthDb *db, gint64 id, gint64 now)
{
    return hearth_db_run(db,
                         "UPDATE persona SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL",
                         "ii", id, now);
}

int hearth_table_persona_restore(HearthDb *db, gint64 id)
{
    return hearth_db_run(db, "UPDATE persona SET deleted_at = NULL WHERE id = ?1", "i", id);
}

GPtrArray *hearth_table_persona_list(HearthDb *db, int *ret_rc)
{
    sqlite3_stmt *statement =
        hearth_db_bind(db,
                       "SELECT id, name, prompt FROM persona WHERE deleted_at IS NULL"
                       " ORDER BY id",
                       "");
    g_autoptr(GPtrArray) rows =
        g_ptr_array_new_with_free_func((GDestroyNotify)hearth_persona_row_free);
    if (!statement) {
        *ret_rc = hearth_db_errcode(db);
        return NULL;
    }
    while (sqlite3_step(statement) == SQLITE_ROW) {
        HearthPersonaRow *row = g_new0(HearthPersonaRow, 1);
        row->id = sqlite3_column_int64(statement, 0);
        row->name = hearth_db_name(statement, 1);
        row->prompt = hearth_db_text(statement, 2);
        g_ptr_array_add(rows, row);
    }
    *ret_rc = sqlite3_reset(statement);
    return *ret_rc ? NULL : g_steal_pointer(&rows);
}
