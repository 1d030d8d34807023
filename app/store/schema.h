/* The tables of history.db and the way from each older shape to the newest.
 *
 * Other programs may read and write the file: every column has a default, and triggers use nothing
 * that plain SQLite lacks. Ids are from 1. Columns that refer to a folder or persona are NULL for
 * none; `parent` and `head` are 0 for none and have no foreign key: trees are thousands deep, more
 * than SQLite cascades. */
#ifndef HEARTH_SCHEMA_H
#define HEARTH_SCHEMA_H

#include "store/db.h"

#define HEARTH_SCHEMA_VERSION 3 /* kept in user_version */

/* From user_version to the newest, each step in one transaction. Returns rc. */
int hearth_schema_migrate(HearthDb *db);

#endif
