#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/num.h"

static bool map_fd(EngMap *ret_map, int fd, const char *path, EngError *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return eng_fail(err, ENG_ERR_IO, "Cannot read \"%s\": %s.", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return eng_fail(err, ENG_ERR_IO, "\"%s\" is not a file: give the path of a GGUF file.",
                        path);
    EngMap map = {.size = (uint64_t)st.st_size, .owned = true, .fd = fd};
    if (map.size > SIZE_MAX)
        return eng_fail(err, ENG_ERR_IO, "\"%s\" is too large for this system to map.", path);
    if (map.size > 0) {
        void *p = mmap(NULL, (size_t)map.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            return eng_fail(err, ENG_ERR_IO, "Cannot map \"%s\" into memory: %s.", path,
                            strerror(errno));
        map.data = p;
        map.watch = eng_fault_watch(p, (size_t)map.size);
    }
    *ret_map = map;
    return true;
}

bool eng_map_open(EngMap *ret_map, const char *path, EngError *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
    if (fd < 0 && errno == ENOENT)
        return eng_fail(err, ENG_ERR_IO, "There is no file \"%s\": check the path.", path);
    if (fd < 0) return eng_fail(err, ENG_ERR_IO, "Cannot open \"%s\": %s.", path, strerror(errno));
    bool ok = map_fd(ret_map, fd, path, err);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* reading ahead brings back what was let go */
    if (!ok) close(fd);
    return ok;
}

void eng_map_close(EngMap *map)
{
    if (map->owned && map->data) {
        eng_fault_unwatch(map->watch);
        munmap((void *)map->data, (size_t)map->size);
    }
    if (map->owned) close(map->fd);
    *map = (EngMap){0};
}

bool eng_map_check(const EngMap *map, EngError *err)
{
    if (!map->owned || !map->data || !eng_fault_seen(map->watch)) return true;
    return eng_fail(err, ENG_ERR_IO,
                    "The model's file became shorter or its disk failed while it was in use: put "
                    "the file back and load the model again.");
}

enum { PAGE = 4096 };

void eng_map_drop(const EngMap *map, uint64_t offset, uint64_t n)
{
    if (!map->owned || offset >= map->size || n == 0) return;
    uint64_t begin = offset / PAGE * PAGE, end = offset + ENG_MIN(n, map->size - offset);
    /* The cache keeps what is mapped, so here first. */
    madvise((void *)(map->data + begin), (size_t)(end - begin), MADV_DONTNEED);
    posix_fadvise(map->fd, (off_t)begin, (off_t)(end - begin), POSIX_FADV_DONTNEED);
}

void eng_map_copy(const EngMap *map, uint64_t offset, void *to, uint64_t n)
{
    uint8_t *at = to;
    while (map->owned && n > 0) {
        ssize_t got = pread(map->fd, at, (size_t)ENG_MIN(n, 1u << 30), (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += got;
        offset += (uint64_t)got;
        n -= (uint64_t)got;
    }
    if (n > 0) memcpy(at, map->data + offset, (size_t)n);
}

void eng_map_touch(const EngMap *map, uint64_t offset, uint64_t n)
{
    if (offset >= map->size) return;
    n = ENG_MIN(n, map->size - offset);
    uint64_t begin = offset / PAGE * PAGE, end = offset + n;
    if (map->owned) madvise((void *)(map->data + begin), (size_t)(end - begin), MADV_WILLNEED);
    for (uint64_t at = begin; at < end; at += PAGE) *(const volatile uint8_t *)(map->data + at);
}

const uint8_t *eng_cursor_bytes(EngCursor *c, uint64_t n)
{
    if (c->short_by || n > c->size - c->pos) {
        c->short_by = true;
        return NULL;
    }
    const uint8_t *p = c->data + c->pos;
    c->pos += n;
    return p;
}

static uint64_t cursor_le(EngCursor *c, int n)
{
    const uint8_t *p = eng_cursor_bytes(c, (uint64_t)n);
    uint64_t x = 0;
    for (int i = 0; p && i < n; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

uint8_t eng_cursor_u8(EngCursor *c) { return (uint8_t)cursor_le(c, 1); }
uint16_t eng_cursor_u16(EngCursor *c) { return (uint16_t)cursor_le(c, 2); }
uint32_t eng_cursor_u32(EngCursor *c) { return (uint32_t)cursor_le(c, 4); }
uint64_t eng_cursor_u64(EngCursor *c) { return cursor_le(c, 8); }
