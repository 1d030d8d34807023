/* Taking a JSON export in. Two parts: reading the file, which believes nothing and needs no
 * database, and writing what was read, a slice at a time, so that answers that are being written do
 * not wait for it. A conversation that is not sound is left out, the others are taken.
 *
 * Conversations are written as deleted ones (since 1970) and become visible all at once at the end:
 * what stops in the middle was never there, and is purged like everything deleted. */
#ifndef HEARTH_IMPORT_H
#define HEARTH_IMPORT_H

#include <gio/gio.h>

#include "store/db.h"
#include "store/rows.h"

/* deleted_at of what is not there yet. */
#define HEARTH_IMPORT_STAGED 1

typedef struct {
    HearthConversationRow *row;
    GPtrArray *messages; /* of HearthMessageRow, by id */
} HearthImportedConversation;

typedef struct {
    GFile *file;
    GPtrArray *folders, *personas; /* of rows */
    GPtrArray *conversations;      /* of HearthImportedConversation, the one updated first first */
    guint left_out;                /* conversations */
    char *why;                     /* the first of them: a part of a sentence */
    /* of the writing */
    bool begun, finished;
    guint at, message; /* conversation and message at hand */
    GArray *staged;    /* gint64: ids of conversations that were written */
} HearthImport;

HearthImport *hearth_import_new(GFile *file);
void hearth_import_free(HearthImport *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthImport, hearth_import_free)

/* On any thread. Old ids stay in the rows. */
bool hearth_import_read(HearthImport *self, GCancellable *cancellable, GError **error);

/* The same of a text that is in memory. */
bool hearth_import_parse(HearthImport *self, const char *text, gsize length, GError **error);

/* Hands out n ids, returns the first. */
typedef gint64 (*HearthImportIds)(void *data, guint n);

/* On the store's thread: one slice. *ret_more: there is more to do. */
bool hearth_import_step(HearthImport *self, HearthDb *db, HearthImportIds new_ids, void *ids_data,
                        bool *ret_more, GError **error);

#endif
