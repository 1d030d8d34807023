#include "store/search/index.h"

/* $run is the set of characters of hearth_words_is_run.
 *
 * substr() counts from the beginning, which makes walking a long text quadratic: it is cut in
 * blocks of 20,000 characters, these in lines of 100. Each piece holds one character more, the
 * neighbour; `spare` is 1 where that one begins the next block. After a million characters a text
 * with $run is not indexed. */
static const char segment[] =
    "CASE WHEN $text NOT GLOB '*$run*' THEN $text ELSE ("
    "WITH RECURSIVE"
    " block (at, piece, rest) AS ("
    "  SELECT 1, substr($text, 1, 20001), substr($text, 20001, 980000)"
    "  UNION ALL"
    "  SELECT at + 20000, substr(rest, 1, 20001), substr(rest, 20001) FROM block"
    "   WHERE length(piece) = 20001),"
    " line (at, piece, rest, spare) AS ("
    "  SELECT at, substr(piece, 1, 101), substr(piece, 101), length(piece) = 20001 FROM block"
    "  UNION ALL"
    "  SELECT at + 100, substr(rest, 1, 101), substr(rest, 101), spare FROM line"
    "   WHERE length(piece) = 101 AND length(rest) > spare"
    "  ORDER BY 1),"
    " step (n) AS ("
    "  SELECT 1 UNION ALL SELECT n + 1 FROM step WHERE n < min(100, length($text)))"
    " SELECT group_concat(CASE"
    "   WHEN substr(piece, n, 1) NOT GLOB '$run' THEN substr(piece, n, 1)"
    "   WHEN substr(piece, n + 1, 1) GLOB '$run'"
    "   THEN ' ' || substr(piece, n, 1) || ' ' || substr(piece, n, 2) || ' '"
    "   ELSE ' ' || substr(piece, n, 1) || ' ' END, '')"
    "  FROM line CROSS JOIN step WHERE n <= length(piece)) END";
static const char run[] = "[\u3005-\u3007\u3041-\u312F\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7A3"
                          "\uF900-\uFAFF\uFF66-\uFF9D\U00020000-\U00033FFF]";

/* Without positions and lengths it takes a third of the space; prefix: what is typed first finds
 * very much. BEFORE triggers still see the old text in the view. */
static const char create[] =
    "CREATE VIEW $index_words (id, words) AS SELECT id, $words FROM $table WHERE $ended;"
    "CREATE VIRTUAL TABLE $index USING fts5 (words, content = '$index_words',"
    "  content_rowid = 'id', detail = none, columnsize = 0, prefix = '1 2 3',"
    "  tokenize = 'unicode61 remove_diacritics 2');"
    "CREATE TRIGGER $index_insert AFTER INSERT ON $table WHEN new.$ended BEGIN"
    "  INSERT INTO $index (rowid, words)"
    "   SELECT id, words FROM $index_words WHERE id = new.id;"
    " END;"
    "CREATE TRIGGER $index_before BEFORE UPDATE OF $columns ON $table"
    "  WHEN old.$ended AND (NOT new.$ended OR new.$text <> old.$text OR new.id <> old.id) BEGIN"
    "  INSERT INTO $index ($index, rowid, words)"
    "   SELECT 'delete', id, words FROM $index_words WHERE id = old.id;"
    " END;"
    "CREATE TRIGGER $index_after AFTER UPDATE OF $columns ON $table"
    "  WHEN new.$ended AND (NOT old.$ended OR new.$text <> old.$text OR new.id <> old.id) BEGIN"
    "  INSERT INTO $index (rowid, words)"
    "   SELECT id, words FROM $index_words WHERE id = new.id;"
    " END;"
    "CREATE TRIGGER $index_delete BEFORE DELETE ON $table WHEN old.$ended BEGIN"
    "  INSERT INTO $index ($index, rowid, words)"
    "   SELECT 'delete', id, words FROM $index_words WHERE id = old.id;"
    " END;"
    "INSERT INTO $index ($index) VALUES ('rebuild');";

static const char forget[] = "DROP TRIGGER IF EXISTS $index_insert;"
                             "DROP TRIGGER IF EXISTS $index_before;"
                             "DROP TRIGGER IF EXISTS $index_after;"
                             "DROP TRIGGER IF EXISTS $index_delete;"
                             "DROP VIEW IF EXISTS $index_words;"
                             "DELETE FROM sqlite_schema WHERE name = '$index';";
static const char clear[] = "DROP TABLE IF EXISTS $index_data;"
                            "DROP TABLE IF EXISTS $index_idx;"
                            "DROP TABLE IF EXISTS $index_config;";

char *hearth_index_segment(const char *text)
{
    GString *sql = g_string_new(segment);
    g_string_replace(sql, "$run", run, 0);
    g_string_replace(sql, "$text", text, 0);
    return g_string_free(sql, FALSE);
}

typedef struct {
    const char *index, *table, *text, *columns;
    const char *ended; /* condition on a column: only such rows are indexed */
} Index;

static const Index indexes[] = {
    {"message_index", "message", "content", "id, state, content", "state >= 10"},
    {"title_index", "conversation", "title", "id, title", "id <> 0"},
};

static int run_for(HearthDb *db, const char *script, const Index *index)
{
    g_autofree char *words = hearth_index_segment(index->text);
    g_autoptr(GString) sql = g_string_new(script);
    g_string_replace(sql, "$words", words, 0);
    g_string_replace(sql, "$index", index->index, 0);
    g_string_replace(sql, "$table", index->table, 0);
    g_string_replace(sql, "$text", index->text, 0);
    g_string_replace(sql, "$columns", index->columns, 0);
    g_string_replace(sql, "$ended", index->ended, 0);
    return hearth_db_exec(db, sql->str);
}

static int run_all(HearthDb *db, const char *script)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; !rc && i < G_N_ELEMENTS(indexes); i++) rc = run_for(db, script, &indexes[i]);
    return rc;
}

int hearth_index_create(HearthDb *db) { return run_all(db, create); }

/* FTS5 neither mends nor drops a table that it cannot open. Taken out of the schema, it leaves
 * tables like any others. */
static int create_again(HearthDb *db)
{
    int rc = hearth_db_exec(db, "BEGIN IMMEDIATE; PRAGMA writable_schema = ON");
    if (!rc) rc = run_all(db, forget);
    if (!rc) rc = hearth_db_exec(db, "PRAGMA writable_schema = RESET");
    if (!rc) rc = run_all(db, clear);
    if (!rc) rc = hearth_index_create(db);
    if (!rc) rc = hearth_db_exec(db, "COMMIT");
    if (rc) hearth_db_exec(db, "ROLLBACK"); /* fails where SQLite has done it already */
    if (rc) hearth_db_exec(db, "PRAGMA writable_schema = RESET");
    return rc;
}

int hearth_index_rebuild(HearthDb *db)
{
    int rc = run_all(db, "INSERT INTO $index ($index) VALUES ('rebuild')");
    return hearth_db_is_damage(rc) ? create_again(db) : rc;
}
