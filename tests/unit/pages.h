/* Of a mapped file's pages, the share that is in the system's cache of it. In TMPFS that is all. */
#ifndef TEST_UNIT_PAGES_H
#define TEST_UNIT_PAGES_H

#include <stdlib.h>
#include <sys/mman.h>

#include "base/file.h"
#include "test.h"

enum { TMPFS = 0x01021994 }; /* statfs's f_type */

static double cached(const EngMap *map)
{
    size_t pages = (size_t)(map->size + 4095) / 4096, n = 0;
    unsigned char *there = calloc(1, pages);
    CHECK(mincore((void *)map->data, (size_t)map->size, there) == 0);
    for (size_t i = 0; i < pages; i++) n += there[i] & 1;
    free(there);
    return (double)n / (double)pages;
}

#endif
