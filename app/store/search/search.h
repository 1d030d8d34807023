/* Finds conversations by words in their titles and texts. */
#ifndef HEARTH_SEARCH_H
#define HEARTH_SEARCH_H

#include "store/db.h"
#include "store/rows.h"

/* On the store's thread. GPtrArray of HearthHit, newest first, one per conversation; NULL and
 * *ret_rc on failure. */
GPtrArray *hearth_search_run(HearthDb *db, const char *text, guint limit, int *ret_rc);

#endif
