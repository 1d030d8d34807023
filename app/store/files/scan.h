/* Cuts a JSON export into its elements without building a tree of all of it: one conversation at a
 * time is parsed. Also the guard before the parser, which follows nesting by recursion and takes
 * more than JSON: what passes here is lexically JSON, and not deep. */
#ifndef HEARTH_SCAN_H
#define HEARTH_SCAN_H

#include <glib.h>
#include <stdbool.h>

/* A value in the text: bytes. */
typedef struct {
    gsize start, length;
} HearthExtent;

typedef struct {
    GHashTable *members; /* name → GArray of HearthExtent: elements of an array, or the one value */
} HearthScan;

/* The members of the object that the text is. False: it is not, or something in it is deeper than
 * `depth` levels, the object included. */
bool hearth_scan_object(const char *text, gsize length, int depth, HearthScan *ret_scan);
void hearth_scan_clear(HearthScan *scan);

/* Borrowed, or NULL. */
GArray *hearth_scan_get(const HearthScan *scan, const char *name);

#endif
