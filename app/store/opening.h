/* From a path to a connection that can be worked with: looks whether the file is ours and sound,
 * sets it aside if not, migrates it, marks what ran at the last end as interrupted.
 *
 * The look is cheap at any size: header, version, tables, the newest rows, a write. Damage that is
 * met later leaves a mark beside the file (history.db.check), and the next opening reads it whole.
 * Without a file that can be written, all goes on in memory, with a copy of what can be read. */
#ifndef HEARTH_OPENING_H
#define HEARTH_OPENING_H

#include "store/db.h"

/* `path` NULL: in memory. Always returns a connection; *ret_notice: a sentence to tell, or NULL;
 * *error is set when the history is in memory although a file was asked for. */
HearthDb *hearth_opening_run(const char *path, char **ret_notice, GError **error);

/* The next opening shall look closely. `path` NULL: nothing to do. */
void hearth_opening_mark(const char *path);

#endif
