/* Files as read-only memory, and a cursor over bytes that nobody trusts. */
#ifndef ENG_BASE_FILE_H
#define ENG_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct {
    const uint8_t *data; /* NULL for an empty file */
    uint64_t size;       /* bytes */
    bool owned;          /* mapped by eng_map_open, unmapped by eng_map_close */
    int fd;              /* when owned: of the file */
    int watch;           /* when owned: see fault.h */
} EngMap;

/* Maps a whole file read-only. The path is UTF-8. A directory or device is refused. */
bool eng_map_open(EngMap *ret_map, const char *path, EngError *err);
void eng_map_close(EngMap *map);

/* False when a page could not be read, now or before: its bytes read as zeros. */
bool eng_map_check(const EngMap *map, EngError *err);

/* Asks the system to read [offset, offset + n) and touches every page of it. */
void eng_map_touch(const EngMap *map, uint64_t offset, uint64_t n);

/* Copies [offset, offset + n), which must lie in the map, to `to`: read from the file, so that no
 * page of the map comes in for it. What cannot be read is as in the map. */
void eng_map_copy(const EngMap *map, uint64_t offset, void *to, uint64_t n);

/* Lets go of the pages of [offset, offset + n): here, and in the system's cache of the file where
 * nobody else has them. They come back from the disk when they are read again. */
void eng_map_drop(const EngMap *map, uint64_t offset, uint64_t n);

/* Little-endian reads from an untrusted buffer. After a read past the end every further read gives
 * 0 and `short_by` is true: check once at the end of a record. */
typedef struct {
    const uint8_t *data;
    uint64_t size, pos;
    bool short_by;
} EngCursor;

const uint8_t *eng_cursor_bytes(EngCursor *c, uint64_t n); /* borrowed; NULL past the end */
uint8_t eng_cursor_u8(EngCursor *c);
uint16_t eng_cursor_u16(EngCursor *c);
uint32_t eng_cursor_u32(EngCursor *c);
uint64_t eng_cursor_u64(EngCursor *c);

#endif
