/* Mapped files that fail. When a file shrinks or its disk goes away, reading a page of its map is
 * answered with a signal that ends the program. Of a map that is watched such a read gives zeros
 * instead, from that page on, and the map is known to be broken: whoever computed with it asks
 * afterwards and throws the result away.
 *
 * Process-wide: the first watch installs a handler for SIGBUS, which hands on what is not its own.
 */
#ifndef ENG_BASE_FAULT_H
#define ENG_BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/* A number for the other two; -1 when there are too many, and nothing is watched. */
int eng_fault_watch(const void *data, size_t n);
void eng_fault_unwatch(int watch);
bool eng_fault_seen(int watch);

#endif
