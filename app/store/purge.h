/* Deletes for good what was deleted 30 days ago, in small transactions while there is nothing else
 * to do, and gives the space back to the disk. */
#ifndef HEARTH_PURGE_H
#define HEARTH_PURGE_H

#include "store/db.h"

typedef struct {
    gint64 before;  /* microseconds since 1970: what was deleted before goes */
    gint64 last_id; /* of the conversations that go: an import has begun newer ones */
    GArray *only;   /* NULL, or the conversations (gint64) that go, and nothing else */
} HearthPurge;

/* One slice. Returns rc. */
int hearth_purge_step(HearthPurge *purge, HearthDb *db, bool *ret_more);

#endif
