/* Writing conversations to a file, a slice at a time, so that answers that are being written do not
 * wait for it. What stands in the file is each conversation as it is when its turn comes. The file
 * is its owner's alone, like the history: giving it to others is a decision of its own.
 *
 * export.c walks and writes; a format is a table of functions that append text. */
#ifndef HEARTH_EXPORT_H
#define HEARTH_EXPORT_H

#include <gio/gio.h>

#include "store/db.h"
#include "store/store.h"

typedef struct HearthExport HearthExport;

HearthExport *hearth_export_new(gint64 conversation, HearthExportFormat format, GFile *file);
/* Removes what is unfinished. */
void hearth_export_free(HearthExport *self);

/* On the store's thread: one slice. *ret_more: there is more to do. */
bool hearth_export_step(HearthExport *self, HearthDb *db, GCancellable *cancellable, bool *ret_more,
                        GError **error);

/* ---- for the formats ------------------------------------------------------------------------- */

/* Where a format is within one conversation; `state` is its own, freed with g_free(). */
typedef struct {
    const HearthConversationRow *row;
    gint64 after;   /* 0 at the beginning; the format moves it on */
    GArray *branch; /* gint64 ids, or NULL: the format's */
} HearthExportPlace;

/* All append to `out` and return rc. */
typedef struct {
    /* all: what no conversation uses too */
    int (*begin)(HearthDb *db, const GPtrArray *conversations, bool all, GString *out);
    int (*conversation)(HearthDb *db, HearthExportPlace *place, bool is_first, GString *out);
    /* Some of the messages; *ret_more: not all yet. */
    int (*messages)(HearthDb *db, HearthExportPlace *place, bool *ret_more, GString *out);
    void (*end)(GString *out);
} HearthExportFormatter;

extern const HearthExportFormatter hearth_export_json, hearth_export_markdown;

/* Names of states and roles in the JSON; NULL past the end or where there is none. */
const char *hearth_export_state_name(HearthState state);
const char *hearth_export_role_name(HearthRole role);

#endif
