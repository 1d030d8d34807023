#include "claim.h"

#include <gio/gio.h>
#include <glib/gi18n.h>
#include <sqlite3.h>

#define PATIENCE_MS 2000

struct HearthClaim {
    sqlite3 *sqlite;
};

bool hearth_claim_take(const char *path, HearthClaim **ret_claim, GError **error)
{
    sqlite3 *sqlite = NULL;
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileOutputStream) made = g_file_create(file, G_FILE_CREATE_PRIVATE, NULL, NULL);
    g_clear_object(&made);
    int rc = sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READWRITE, NULL);
    sqlite3_busy_timeout(sqlite, PATIENCE_MS);
    if (!rc) rc = sqlite3_exec(sqlite, "PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE", 0, 0, 0);
    if (rc) g_clear_pointer(&sqlite, sqlite3_close);
    if ((rc & 0xff) == SQLITE_BUSY) {
        g_autofree char *folder = g_path_get_dirname(path);
        return hearth_error(error, HEARTH_ERROR_REFUSED,
                            _("Hearth is running already, with its data in %s. Use that "
                              "window, or close it first."),
                            folder);
    }
    *ret_claim = sqlite ? g_new0(HearthClaim, 1) : NULL;
    if (sqlite) (*ret_claim)->sqlite = sqlite;
    return true;
}

void hearth_claim_free(HearthClaim *claim)
{
    if (!claim) return;
    sqlite3_close(claim->sqlite);
    g_free(claim);
}
