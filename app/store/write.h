/* One enqueued change of the history: what the store's thread applies, and applies again after a
 * failure. Belongs to whoever holds it. */
#ifndef HEARTH_WRITE_H
#define HEARTH_WRITE_H

#include "store/db.h"
#include "store/store.h"

typedef enum {
    HEARTH_WRITE_CONVERSATION,
    HEARTH_WRITE_MESSAGE,
    HEARTH_WRITE_FOLDER,
    HEARTH_WRITE_PERSONA,
    HEARTH_WRITE_UNSENT,
    HEARTH_WRITE_PARTIAL,
    HEARTH_WRITE_DELETE,
    HEARTH_WRITE_RESTORE
} HearthWriteKind;

typedef struct {
    HearthWriteKind kind;
    gint64 id;         /* of the row */
    void *row;         /* the first five */
    HearthState state; /* partial */
    char *content;     /* partial */
    char *thinking;    /* partial */
    HearthTable table; /* delete, restore */
    gint64 time;       /* delete */
} HearthWrite;

HearthWrite *hearth_write_new_row(HearthWriteKind kind, gint64 id, void *row); /* takes the row */
HearthWrite *hearth_write_new_partial(gint64 id, HearthState state, const char *content,
                                      const char *thinking);
HearthWrite *hearth_write_new_delete(HearthTable table, gint64 id);
HearthWrite *hearth_write_new_restore(HearthTable table, gint64 id);
void hearth_write_free(HearthWrite *write);

/* Both are partials of the same message: `earlier` takes over what `later` says and frees it. */
void hearth_write_merge(HearthWrite *earlier, HearthWrite *later);

/* On the store's thread, in a transaction. Returns rc. */
int hearth_write_apply(const HearthWrite *write, HearthDb *db);

#endif
