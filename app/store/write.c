#include "store/write.h"

#include "store/table/table.h"

HearthWrite *hearth_write_new_row(HearthWriteKind kind, gint64 id, void *row)
{
    HearthWrite *write = g_new0(HearthWrite, 1);
    write->kind = kind;
    write->id = id;
    write->row = row;
    return write;
}

HearthWrite *hearth_write_new_partial(gint64 id, HearthState state, const char *content,
                                      const char *thinking)
{
    HearthWrite *write = g_new0(HearthWrite, 1);
    write->kind = HEARTH_WRITE_PARTIAL;
    write->id = id;
    write->state = state;
    write->content = g_strdup(content);
    write->thinking = g_strdup(thinking);
    return write;
}

HearthWrite *hearth_write_new_delete(HearthTable table, gint64 id)
{
    HearthWrite *write = g_new0(HearthWrite, 1);
    write->kind = HEARTH_WRITE_DELETE;
    write->table = table;
    write->id = id;
    write->time = g_get_real_time();
    return write;
}

HearthWrite *hearth_write_new_restore(HearthTable table, gint64 id)
{
    HearthWrite *write = g_new0(HearthWrite, 1);
    write->kind = HEARTH_WRITE_RESTORE;
    write->table = table;
    write->id = id;
    return write;
}

void hearth_write_free(HearthWrite *write)
{
    if (!write) return;
    switch (write->kind) {
    case HEARTH_WRITE_CONVERSATION: hearth_conversation_row_free(write->row); break;
    case HEARTH_WRITE_MESSAGE: hearth_message_row_free(write->row); break;
    case HEARTH_WRITE_FOLDER: hearth_folder_row_free(write->row); break;
    case HEARTH_WRITE_PERSONA: hearth_persona_row_free(write->row); break;
    case HEARTH_WRITE_UNSENT: hearth_unsent_row_free(write->row); break;
    case HEARTH_WRITE_PARTIAL:
    case HEARTH_WRITE_DELETE:
    case HEARTH_WRITE_RESTORE: break;
    }
    g_free(write->content);
    g_free(write->thinking);
    g_free(write);
}

void hearth_write_merge(HearthWrite *earlier, HearthWrite *later)
{
    earlier->state = later->state;
    g_free(earlier->content);
    g_free(earlier->thinking);
    earlier->content = g_steal_pointer(&later->content);
    earlier->thinking = g_steal_pointer(&later->thinking);
    hearth_write_free(later);
}

static int apply_delete(const HearthWrite *write, HearthDb *db)
{
    switch (write->table) {
    case HEARTH_TABLE_CONVERSATION:
        return hearth_table_conversation_delete(db, write->id, write->time);
    case HEARTH_TABLE_MESSAGE: return hearth_table_message_delete(db, write->id, write->time);
    case HEARTH_TABLE_FOLDER: return hearth_table_folder_delete(db, write->id, write->time);
    case HEARTH_TABLE_PERSONA: return hearth_table_persona_delete(db, write->id, write->time);
    case HEARTH_TABLE_UNSENT: return hearth_table_unsent_delete(db, write->id);
    }
    g_assert_not_reached();
}

static int apply_restore(const HearthWrite *write, HearthDb *db)
{
    switch (write->table) {
    case HEARTH_TABLE_CONVERSATION: return hearth_table_conversation_restore(db, write->id);
    case HEARTH_TABLE_MESSAGE: return hearth_table_message_restore(db, write->id);
    case HEARTH_TABLE_FOLDER: return hearth_table_folder_restore(db, write->id);
    case HEARTH_TABLE_PERSONA: return hearth_table_persona_restore(db, write->id);
    case HEARTH_TABLE_UNSENT: return SQLITE_OK;
    }
    g_assert_not_reached();
}

int hearth_write_apply(const HearthWrite *write, HearthDb *db)
{
    switch (write->kind) {
    case HEARTH_WRITE_CONVERSATION: return hearth_table_conversation_put(db, write->row);
    case HEARTH_WRITE_MESSAGE: return hearth_table_message_put(db, write->row);
    case HEARTH_WRITE_FOLDER: return hearth_table_folder_put(db, write->row);
    case HEARTH_WRITE_PERSONA: return hearth_table_persona_put(db, write->row);
    case HEARTH_WRITE_UNSENT: return hearth_table_unsent_put(db, write->row);
    case HEARTH_WRITE_PARTIAL:
        return hearth_table_message_partial(db, write->id, write->state, write->content,
                                            write->thinking);
    case HEARTH_WRITE_DELETE: return apply_delete(write, db);
    case HEARTH_WRITE_RESTORE: return apply_restore(write, db);
    }
    g_assert_not_reached();
}
