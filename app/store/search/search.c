#include "store/search/search.h"

#include "store/search/snippet.h"

typedef struct {
    HearthDb *db;
    HearthWords *words;
    guint limit;
    GHashTable *seen; /* conversations that are decided */
    GPtrArray *hits;  /* of Found */
} Search;

/* A hit and when it was. */
typedef struct {
    HearthHit *hit;
    gint64 time;
} Found;

static void found_free(Found *found)
{
    hearth_hit_free(found->hit);
    g_free(found);
}

static void add(Search *search, gint64 conversation, gint64 message, gint64 time, const char *title,
                const char *snippet, const char *excerpt)
{
    Found *found = g_new0(Found, 1);
    found->time = time;
    found->hit = g_new0(HearthHit, 1);
    found->hit->conversation = conversation;
    found->hit->message = message;
    found->hit->title = hearth_snippet_title(search->words, title);
    found->hit->snippet = g_strdup(snippet);
    found->hit->excerpt = g_strdup(excerpt);
    g_ptr_array_add(search->hits, found);
}

/* The message at hand of the statement: its conversation is taken unless it is deleted. */
static int take_message(Search *search, gint64 id, gint64 conversation)
{
    sqlite3_stmt *statement = hearth_db_bind(search->db,
                                             "SELECT m.created, m.content, c.title FROM message m"
                                             " JOIN conversation c ON c.id = m.conversation"
                                             " WHERE m.id = ?1 AND c.deleted_at IS NULL",
                                             "i", id);
    if (!statement) return hearth_db_errcode(search->db);
    bool decided = true; /* a deleted conversation has no hits at all */
    if (sqlite3_step(statement) == SQLITE_ROW) {
        g_autofree char *content = hearth_db_text(statement, 1);
        g_autofree char *title = hearth_db_name(statement, 2);
        g_autofree char *excerpt = NULL;
        g_autofree char *snippet = hearth_snippet_line(search->words, content, &excerpt);
        if (snippet)
            add(search, conversation, id, sqlite3_column_int64(statement, 0), title, snippet,
                excerpt);
        else
            decided = false; /* the index promised too much of this message */
    }
    if (decided) g_hash_table_add(search->seen, g_memdup2(&conversation, sizeof conversation));
    return sqlite3_reset(statement);
}

static int search_messages(Search *search)
{
    sqlite3_stmt *statement =
        hearth_db_bind(search->db,
                       "SELECT m.id, m.conversation"
                       " FROM message_index CROSS JOIN message m ON m.id = message_index.rowid"
                       " WHERE message_index MATCH ?1 AND m.deleted_at IS NULL"
                       " ORDER BY message_index.rowid DESC",
                       "t", hearth_words_get_match(search->words));
    if (!statement) return hearth_db_errcode(search->db);
    int rc = SQLITE_OK;
    while (!rc && search->hits->len < search->limit && sqlite3_step(statement) == SQLITE_ROW) {
        gint64 conversation = sqlite3_column_int64(statement, 1);
        if (!g_hash_table_contains(search->seen, &conversation))
            rc = take_message(search, sqlite3_column_int64(statement, 0), conversation);
    }
    int ended = sqlite3_reset(statement);
    return rc ? rc : ended;
}

static int search_titles(Search *search)
{
    sqlite3_stmt *statement =
        hearth_db_bind(search->db,
                       "SELECT c.id, c.updated, c.title"
                       " FROM title_index CROSS JOIN conversation c ON c.id = title_index.rowid"
                       " WHERE title_index MATCH ?1 AND c.deleted_at IS NULL"
                       " ORDER BY c.updated DESC",
                       "t", hearth_words_get_match(search->words));
    if (!statement) return hearth_db_errcode(search->db);
    guint n = 0;
    while (n < search->limit && sqlite3_step(statement) == SQLITE_ROW) {
        gint64 conversation = sqlite3_column_int64(statement, 0);
        if (g_hash_table_contains(search->seen, &conversation)) continue;
        g_autofree char *title = hearth_db_name(statement, 2);
        if (!hearth_words_find(search->words, title, NULL)) continue;
        add(search, conversation, 0, sqlite3_column_int64(statement, 1), title, "", "");
        n++;
    }
    return sqlite3_reset(statement);
}

static int compare(const Found **a, const Found **b)
{
    if ((*a)->time != (*b)->time) return (*a)->time > (*b)->time ? -1 : 1;
    return (*a)->hit->message > (*b)->hit->message ? -1 : 1;
}

GPtrArray *hearth_search_run(HearthDb *db, const char *text, guint limit, int *ret_rc)
{
    g_autoptr(GPtrArray) result = g_ptr_array_new_with_free_func((GDestroyNotify)hearth_hit_free);
    g_autoptr(HearthWords) words = hearth_words_new(db, text);
    *ret_rc = SQLITE_OK;
    if (!words) return g_steal_pointer(&result);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    g_autoptr(GPtrArray) hits = g_ptr_array_new_with_free_func((GDestroyNotify)found_free);
    Search search = {db, words, limit, seen, hits};
    *ret_rc = search_messages(&search);
    if (!*ret_rc) *ret_rc = search_titles(&search);
    if (*ret_rc) return NULL;
    g_ptr_array_sort(hits, (GCompareFunc)compare);
    for (guint i = 0; i < hits->len && i < limit; i++) {
        Found *found = hits->pdata[i];
        g_ptr_array_add(result, g_steal_pointer(&found->hit));
    }
    return g_steal_pointer(&result);
}
