/* The search index: two FTS5 tables over titles and texts, kept by triggers.
 *
 * Scripts without spaces have no words that FTS5's tokenizers see, and a tokenizer of our own would
 * lock other programs out of the file. So what is indexed is not the text but a view of it, in
 * which each character of such scripts stands alone and beside its right neighbour: of "好用" it
 * says " 好 好用  用 ". All else stays as it is. Triggers and views are plain SQL: what other
 * programs write is found too.
 *
 * An answer is indexed when it is at its end, not twice a second. What is deleted stays in the
 * index until it is deleted for good, for the way back is short: searches leave it out. */
#ifndef HEARTH_INDEX_H
#define HEARTH_INDEX_H

#include "store/db.h"

/* Tables message_index and title_index, their views and triggers, and all that is there indexed.
 * Returns rc. */
int hearth_index_create(HearthDb *db);

/* Makes both again from the texts. Returns rc. */
int hearth_index_rebuild(HearthDb *db);

/* The SQL expression that segments a text; `text` is SQL. g_free(); for the tests. */
char *hearth_index_segment(const char *text);

#endif
