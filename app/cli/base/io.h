/* What the commands read and write: whole files or stdin in, stdout out, every error noticed.
 *
 * A reader that went away (a closed pipe) is HEARTH_ERROR_CLOSED. */
#ifndef HEARTH_CLI_BASE_IO_H
#define HEARTH_CLI_BASE_IO_H

#include <json-glib/json-glib.h>

#include "error_from.h"

/* All bytes of a file ("-" or NULL: of stdin) as they are; one NUL follows them. g_free(). */
bool hearth_io_read(const char *path, char **ret_bytes, size_t *ret_len, GError **error);

/* The same, but a text: UTF-8 without NUL. `what` names it in the error: "prompt". */
bool hearth_io_read_text(const char *path, const char *what, char **ret_text, GError **error);

/* Bytes to stdout; flushed, so that they can be seen. */
bool hearth_io_write(const char *bytes, size_t len, GError **error);

/* One JSON document and a newline to stdout. */
bool hearth_io_write_json(JsonBuilder *builder, GError **error);

/* Adds a member whose text may be anything: what is no UTF-8 becomes U+FFFD. len -1: up to NUL. */
void hearth_io_json_text(JsonBuilder *builder, const char *name, const char *text, gssize len);

/* Adds a number with three decimals, which is what a measurement is worth. */
void hearth_io_json_real(JsonBuilder *builder, const char *name, double value);

void hearth_io_json_int(JsonBuilder *builder, const char *name, uint64_t value);

/* At the end of the program: whether all of stdout has really been taken. */
bool hearth_io_finish(GError **error);

/* A file written whole or not at all: made beside its place, then renamed. A target that is no
 * regular file (a device, a pipe) is written directly. */
typedef struct HearthIoFile HearthIoFile;
HearthIoFile *hearth_io_file_new(const char *path, GError **error);
bool hearth_io_file_write(HearthIoFile *file, const void *bytes, size_t len, GError **error);
bool hearth_io_file_commit(HearthIoFile *file, GError **error); /* does not free */
void hearth_io_file_free(HearthIoFile *file); /* without a commit: nothing remains */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthIoFile, hearth_io_file_free)

#endif
