#include "store/schema.h"

#include "store/search/index.h"

#define NOW "(CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER))"

/* Steps are never edited once they have been released: a new shape is a new step. */
static const char step_1[] =
    "CREATE TABLE folder ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL DEFAULT '',"
    "  deleted_at INTEGER"
    ") STRICT;"
    "CREATE TABLE persona ("
    "  id INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL DEFAULT '',"
    "  prompt TEXT NOT NULL DEFAULT '',"
    "  deleted_at INTEGER"
    ") STRICT;"
    "CREATE TABLE conversation ("
    "  id INTEGER PRIMARY KEY,"
    "  title TEXT NOT NULL DEFAULT '',"
    "  titled INTEGER NOT NULL DEFAULT 0,"
    "  pinned INTEGER NOT NULL DEFAULT 0,"
    "  folder INTEGER REFERENCES folder(id) ON DELETE SET NULL,"
    "  former_folder INTEGER NOT NULL DEFAULT 0," /* taken out by that folder's deletion */
    "  persona INTEGER REFERENCES persona(id) ON DELETE SET NULL,"
    "  created INTEGER NOT NULL DEFAULT " NOW ","
    "  updated INTEGER NOT NULL DEFAULT " NOW ","
    "  head INTEGER NOT NULL DEFAULT 0,"
    "  deleted_at INTEGER,"
    "  options TEXT NOT NULL DEFAULT '',"
    "  draft TEXT NOT NULL DEFAULT ''"
    ") STRICT;"
    "CREATE INDEX conversation_folder ON conversation(folder) WHERE folder IS NOT NULL;"
    "CREATE INDEX conversation_persona ON conversation(persona) WHERE persona IS NOT NULL;"
    "CREATE INDEX conversation_deleted ON conversation(deleted_at) WHERE deleted_at IS NOT NULL;"
    /* The long texts come last: what is asked most often lies before them in a row. */
    "CREATE TABLE message ("
    "  id INTEGER PRIMARY KEY,"
    "  conversation INTEGER NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,"
    "  parent INTEGER NOT NULL DEFAULT 0,"
    "  role INTEGER NOT NULL DEFAULT 0,"
    "  state INTEGER NOT NULL DEFAULT 10,"
    "  created INTEGER NOT NULL DEFAULT " NOW ","
    "  deleted_at INTEGER,"
    "  deletion INTEGER NOT NULL DEFAULT 0," /* the message whose deletion took this one */
    "  prompt_tokens INTEGER NOT NULL DEFAULT 0,"
    "  reused_tokens INTEGER NOT NULL DEFAULT 0,"
    "  tokens INTEGER NOT NULL DEFAULT 0,"
    "  prefill_s REAL NOT NULL DEFAULT 0,"
    "  decode_s REAL NOT NULL DEFAULT 0,"
    "  first_token_s REAL NOT NULL DEFAULT 0,"
    "  thinking_s REAL NOT NULL DEFAULT 0,"
    "  model TEXT NOT NULL DEFAULT '',"
    "  error TEXT NOT NULL DEFAULT '',"
    "  content TEXT NOT NULL DEFAULT '',"
    "  thinking TEXT NOT NULL DEFAULT ''"
    ") STRICT;"
    "CREATE INDEX message_conversation ON message(conversation);"
    "CREATE INDEX message_parent ON message(parent);"
    "CREATE INDEX message_running ON message(state) WHERE state < 10;"
    "CREATE INDEX message_deletion ON message(deletion) WHERE deletion <> 0;"
    "CREATE INDEX message_deleted ON message(deleted_at) WHERE deleted_at IS NOT NULL;";

static const char step_3[] =
    "CREATE TABLE unsent ("
    "  id INTEGER PRIMARY KEY,"
    "  conversation INTEGER NOT NULL REFERENCES conversation(id) ON DELETE CASCADE,"
    "  message INTEGER REFERENCES message(id) ON DELETE CASCADE,"
    "  name TEXT NOT NULL DEFAULT '',"
    "  content TEXT NOT NULL DEFAULT ''"
    ") STRICT;"
    "CREATE INDEX unsent_conversation ON unsent(conversation);"
    "CREATE INDEX unsent_message ON unsent(message) WHERE message IS NOT NULL;";

static int take_step(HearthDb *db, gint64 version)
{
    switch (version) {
    case 0: return hearth_db_exec(db, step_1);
    case 1: return hearth_index_create(db);
    case 2: return hearth_db_exec(db, step_3);
    default: g_assert_not_reached();
    }
}

static int migrate_step(HearthDb *db, gint64 version)
{
    g_autofree char *stamp = g_strdup_printf("PRAGMA user_version = %d", (int)version + 1);
    int rc = hearth_db_exec(db, "BEGIN IMMEDIATE");
    if (!rc) rc = take_step(db, version);
    if (!rc) rc = hearth_db_exec(db, stamp);
    if (!rc) rc = hearth_db_exec(db, "COMMIT");
    if (rc) hearth_db_exec(db, "ROLLBACK");
    return rc;
}

int hearth_schema_migrate(HearthDb *db)
{
    int rc;
    gint64 version = hearth_db_number(db, "PRAGMA user_version", &rc);
    for (; !rc && version < HEARTH_SCHEMA_VERSION; version++) rc = migrate_step(db, version);
    return rc;
}
