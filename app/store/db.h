/* One SQLite connection of the store: statements prepared once and kept, values bound in one line,
 * texts read as valid UTF-8, failures told as sentences.
 *
 * It belongs to the thread that opened it; every function asserts that. Statements are named by
 * their SQL: string literals. Return values `rc` are SQLite's extended result codes, SQLITE_OK = 0.
 */
#ifndef HEARTH_DB_H
#define HEARTH_DB_H

#include <sqlite3.h>

#include "error.h"

typedef struct HearthDb HearthDb;

/* Opens the file for writing, or with create = true makes it; sets nothing aside, migrates nothing
 * (opening.h does). NULL: a database in memory. */
HearthDb *hearth_db_new(const char *path, bool create, int *ret_rc);

/* NULL allowed. */
void hearth_db_free(HearthDb *db);

/* Borrowed; for progress handlers, backup and the tokenizer. */
sqlite3 *hearth_db_get_sqlite(HearthDb *db);

/* The statement, reset, with its parameters ?1 … bound by `types`: i gint64, r gint64 that is NULL
 * in the database when 0 (a reference), b int, d double, t text (NULL is ""; copied by nobody, must
 * outlive the steps). NULL: it cannot be prepared; hearth_db_errcode() says why. Ends with
 * sqlite3_reset(), whose value is the rc. */
sqlite3_stmt *hearth_db_bind(HearthDb *db, const char *sql, const char *types, ...);

/* The same, run to its end. Rows are dropped. */
int hearth_db_run(HearthDb *db, const char *sql, const char *types, ...);

/* Several statements without parameters, not kept. */
int hearth_db_exec(HearthDb *db, const char *sql);

/* First column of the first row; 0 when there is none or on failure. */
gint64 hearth_db_number(HearthDb *db, const char *sql, int *ret_rc);

int hearth_db_errcode(HearthDb *db);

/* A column of the row at hand. Valid UTF-8, g_free(). A name is clean (hearth_name_clean). */
char *hearth_db_text(sqlite3_stmt *statement, int column);
char *hearth_db_name(sqlite3_stmt *statement, int column);

/* A point in time of the row at hand, in the years 1970 … 9999, which all of GLib can take. */
gint64 hearth_db_time(sqlite3_stmt *statement, int column);

/* Says what is wrong with the history and what to do. Returns false. */
bool hearth_db_error(GError **error, HearthDb *db, int rc);

/* Whether the file itself is bad, and no later attempt can succeed. Our SQL is sound and its rows
 * break no constraint: what else than the system's refusals comes of it comes of damaged pages. */
bool hearth_db_is_damage(int rc);

#endif
