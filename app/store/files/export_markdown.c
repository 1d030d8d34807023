#include <glib/gi18n.h>
#include <string.h>

#include "store/files/export.h"
#include "store/table/table.h"

#define MESSAGES_AT_ONCE 50

/* ---- what is shown --------------------------------------------------------------------------- */

/* From the message that is shown last up to the first. A head that is not there (another program
 * wrote it, or nobody did) is the newest message. */
static int read_branch(HearthDb *db, const HearthConversationRow *row, GArray *branch)
{
    g_autoptr(GHashTable) parents =
        g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    sqlite3_stmt *statement = hearth_db_bind(
        db, "SELECT id, parent FROM message WHERE conversation = ?1 AND deleted_at IS NULL", "i",
        row->id);
    if (!statement) return hearth_db_errcode(db);
    gint64 newest = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        gint64 pair[] = {sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1)};
        newest = MAX(newest, pair[0]);
        g_hash_table_insert(parents, g_memdup2(&pair[0], sizeof *pair),
                            g_memdup2(&pair[1], sizeof *pair));
    }
    gint64 at = g_hash_table_contains(parents, &row->head) ? row->head : newest;
    const gint64 *parent;
    while ((parent = g_hash_table_lookup(parents, &at))) {
        gint64 up = *parent;
        g_array_prepend_val(branch, at);
        g_hash_table_remove(parents, &at); /* a circle ends */
        at = up;
    }
    return sqlite3_reset(statement);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* How long the fence is that a line opens or closes, 0 = none; *ret_kind ` or ~. */
static int fence(const char *line, char *ret_kind)
{
    int indent = 0, n = 0;
    while (line[indent] == ' ') indent++;
    line += indent;
    if (indent > 3 || (*line != '`' && *line != '~')) return 0;
    while (line[n] == *line) n++;
    *ret_kind = *line;
    return n >= 3 ? n : 0;
}

/* A text as it is, but with a code block that was cut off closed: it would swallow all that follows
 * in the file. */
static void append_text(GString *out, const char *text)
{
    char open = 0;
    int length = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        char kind = 0;
        int n = fence(line, &kind);
        if (!n) continue;
        if (!open) {
            open = kind;
            length = n;
        } else if (kind == open && n >= length) {
            open = 0;
        }
    }
    g_string_append(out, text);
    if (out->len && out->str[out->len - 1] != '\n') g_string_append_c(out, '\n');
    for (int i = 0; open && i < length; i++) g_string_append_c(out, open);
    if (open) g_string_append_c(out, '\n');
}

static char *one_line(const char *text)
{
    char *line = g_strdup(text);
    for (char *c = line; *c; c++)
        if ((guchar)*c < ' ') *c = ' ';
    return g_strstrip(line);
}

static void append_message(GString *out, const HearthMessageRow *row)
{
    bool is_user = row->role == HEARTH_ROLE_USER;
    g_autofree char *model = one_line(row->model);
    g_string_append_printf(out, "## %s\n\n", is_user ? _("You") : *model ? model : _("Answer"));
    if (*row->thinking) {
        g_string_append_printf(out, "<details>\n<summary>%s</summary>\n\n", _("Thinking"));
        append_text(out, row->thinking);
        g_string_append(out, "\n</details>\n\n");
    }
    if (*row->content) append_text(out, row->content);
    if (*row->error) g_string_append_printf(out, "%s> %s\n", *row->content ? "\n" : "", row->error);
    g_string_append_c(out, '\n');
}

/* ---- the format ------------------------------------------------------------------------------ */

static int begin(HearthDb *db, const GPtrArray *conversations, bool all, GString *out)
{
    (void)db, (void)conversations, (void)all, (void)out;
    return SQLITE_OK;
}

static int conversation(HearthDb *db, HearthExportPlace *place, bool is_first, GString *out)
{
    const HearthConversationRow *row = place->row;
    g_autofree char *title = one_line(row->title);
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(row->created / G_TIME_SPAN_SECOND);
    g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
    g_autofree char *date = local ? g_date_time_format(local, "%Y-%m-%d %H:%M") : NULL;
    g_string_append_printf(out, "%s# %s\n\n", is_first ? "" : "---\n\n",
                           *title ? title : _("Untitled Conversation"));
    if (date) g_string_append_printf(out, "*%s*\n\n", date);
    place->branch = g_array_new(FALSE, FALSE, sizeof(gint64));
    return read_branch(db, row, place->branch);
}

/* `after` counts the messages that are written. */
static int messages(HearthDb *db, HearthExportPlace *place, bool *ret_more, GString *out)
{
    guint end = MIN((guint)place->after + MESSAGES_AT_ONCE, place->branch->len);
    for (; place->after < end; place->after++) {
        int rc;
        g_autoptr(HearthMessageRow) row =
            hearth_table_message_get(db, g_array_index(place->branch, gint64, place->after), &rc);
        if (rc) return rc;
        if (row) append_message(out, row);
    }
    *ret_more = end < place->branch->len;
    return SQLITE_OK;
}

static void end(GString *out) { (void)out; }

const HearthExportFormatter hearth_export_markdown = {begin, conversation, messages, end};
