/* That the data folder is ours: settings and history are one process's at a time, or the last one
 * to write would win. Where there is a session bus the desktop sees to that already.
 *
 * It is the lock of an SQLite database with nothing in it: the system takes it back when the
 * process ends, however it ends. */
#ifndef HEARTH_CLAIM_H
#define HEARTH_CLAIM_H

#include "error.h"

typedef struct HearthClaim HearthClaim;

/* False: another process has it. *ret_claim is NULL where there can be no lock: in a folder that
 * cannot be written there is nothing to overwrite. Waits a moment for a process that is ending. */
bool hearth_claim_take(const char *path, HearthClaim **ret_claim, GError **error);
void hearth_claim_free(HearthClaim *claim);

#endif
