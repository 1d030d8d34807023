/* The tables: one file each, which holds all SQL about it. Rows in, rows out; who calls has a
 * transaction open where it matters. Functions that write return rc; those that read return NULL
 * on failure and set *ret_rc. */
#ifndef HEARTH_TABLE_H
#define HEARTH_TABLE_H

#include "store/db.h"
#include "store/rows.h"

int hearth_table_conversation_put(HearthDb *db, const HearthConversationRow *row);
int hearth_table_conversation_delete(HearthDb *db, gint64 id, gint64 now);
int hearth_table_conversation_restore(HearthDb *db, gint64 id);
/* Not deleted, the one updated last first. A folder that is deleted reads as none. `id` 0 = all. */
GPtrArray *hearth_table_conversation_list(HearthDb *db, gint64 id, int *ret_rc);

int hearth_table_message_put(HearthDb *db, const HearthMessageRow *row);
int hearth_table_message_partial(HearthDb *db, gint64 id, HearthState state, const char *content,
                                 const char *thinking);
/* With all below it that is not deleted yet. */
int hearth_table_message_delete(HearthDb *db, gint64 id, gint64 now);
int hearth_table_message_restore(HearthDb *db, gint64 id);
/* Not deleted, by id, those after `after`, at most `limit` (-1 = all). */
GPtrArray *hearth_table_message_list(HearthDb *db, gint64 conversation, gint64 after, int limit,
                                     int *ret_rc);
/* NULL with *ret_rc SQLITE_OK: there is none. */
HearthMessageRow *hearth_table_message_get(HearthDb *db, gint64 id, int *ret_rc);
/* What ran when the program ended. */
int hearth_table_message_interrupt(HearthDb *db);

int hearth_table_folder_put(HearthDb *db, const HearthFolderRow *row);
int hearth_table_folder_delete(HearthDb *db, gint64 id, gint64 now);
int hearth_table_folder_restore(HearthDb *db, gint64 id);
GPtrArray *hearth_table_folder_list(HearthDb *db, int *ret_rc); /* by id */

int hearth_table_persona_put(HearthDb *db, const HearthPersonaRow *row);
int hearth_table_persona_delete(HearthDb *db, gint64 id, gint64 now);
int hearth_table_persona_restore(HearthDb *db, gint64 id);
GPtrArray *hearth_table_persona_list(HearthDb *db, int *ret_rc); /* by id */

int hearth_table_unsent_put(HearthDb *db, const HearthUnsentRow *row);
int hearth_table_unsent_delete(HearthDb *db, gint64 id);                             /* for good */
GPtrArray *hearth_table_unsent_list(HearthDb *db, gint64 conversation, int *ret_rc); /* by id */

#endif
