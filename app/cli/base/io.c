#include "cli/base/io.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool read_stdin(char **ret_bytes, size_t *ret_len, GError **error)
{
    g_autoptr(GString) all = g_string_new(NULL);
    char piece[1 << 16];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
        g_string_append_len(all, piece, (gssize)n);
    if (ferror(stdin))
        return hearth_error(error, HEARTH_ERROR_FAILED, "Cannot read the standard input: %s.",
                            g_strerror(errno));
    *ret_len = all->len;
    *ret_bytes = g_string_free(g_steal_pointer(&all), FALSE);
    return true;
}

bool hearth_io_read(const char *path, char **ret_bytes, size_t *ret_len, GError **error)
{
    if (!path || strcmp(path, "-") == 0) return read_stdin(ret_bytes, ret_len, error);
    g_autoptr(GError) cause = NULL;
    if (g_file_test(path, G_FILE_TEST_IS_DIR))
        return hearth_error(error, HEARTH_ERROR_FAILED,
                            "\"%s\" is a folder: give the path of a file.", path);
    if (g_file_get_contents(path, ret_bytes, ret_len, &cause)) return true;
    int why = errno;
    if (g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
        return hearth_error(error, HEARTH_ERROR_FAILED, "There is no file \"%s\": check the path.",
                            path);
    return hearth_error(error, HEARTH_ERROR_FAILED, "Cannot read \"%s\": %s.", path,
                        why ? g_strerror(why) : cause->message);
}

bool hearth_io_read_text(const char *path, const char *what, char **ret_text, GError **error)
{
    g_autofree char *text = NULL;
    size_t len = 0;
    if (!hearth_io_read(path, &text, &len, error)) return false;
    const char *bad;
    if (!g_utf8_validate(text, (gssize)len, &bad))
        return hearth_error(error, HEARTH_ERROR_REFUSED,
                            "The %s is no UTF-8 text (byte %zu is 0x%02x): convert it to UTF-8 "
                            "first.",
                            what, (size_t)(bad - text) + 1, (unsigned char)*bad);
    *ret_text = g_steal_pointer(&text);
    return true;
}

static bool output_failed(GError **error)
{
    if (errno == EPIPE) return hearth_error(error, HEARTH_ERROR_CLOSED, "The output was closed.");
    return hearth_error(error, HEARTH_ERROR_FAILED, "Cannot write the output: %s.",
                        g_strerror(errno));
}

bool hearth_io_write(const char *bytes, size_t len, GError **error)
{
    if (fwrite(bytes, 1, len, stdout) == len && fflush(stdout) == 0) return true;
    return output_failed(error);
}

bool hearth_io_write_json(JsonBuilder *builder, GError **error)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *text = json_to_string(root, FALSE);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    return hearth_io_write(line, strlen(line), error);
}

void hearth_io_json_text(JsonBuilder *builder, const char *name, const char *text, gssize len)
{
    g_autofree char *valid = g_utf8_make_valid(text, len);
    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, valid);
}

void hearth_io_json_real(JsonBuilder *builder, const char *name, double value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, isfinite(value) ? round(value * 1000) / 1000 : 0);
}

void hearth_io_json_int(JsonBuilder *builder, const char *name, uint64_t value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, (gint64)value);
}

bool hearth_io_finish(GError **error)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return true;
    return output_failed(error);
}

struct HearthIoFile {
    char *path, *temporary; /* temporary NULL: written directly, or committed */
    FILE *stream;
};

static bool file_failed(HearthIoFile *file, GError **error)
{
    return hearth_error(error, HEARTH_ERROR_FAILED, "Cannot write \"%s\": %s.", file->path,
                        g_strerror(errno));
}

HearthIoFile *hearth_io_file_new(const char *path, GError **error)
{
    g_autoptr(HearthIoFile) file = g_new0(HearthIoFile, 1);
    file->path = g_strdup(path);
    if (g_file_test(path, G_FILE_TEST_EXISTS) && !g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        file->stream = g_fopen(path, "wb");
    } else {
        file->temporary = g_strdup_printf("%s.%08x", path, g_random_int());
        file->stream = g_fopen(file->temporary, "wbx"); /* x: never somebody else's file */
        if (!file->stream) g_clear_pointer(&file->temporary, g_free);
    }
    if (!file->stream) {
        file_failed(file, error);
        return NULL;
    }
    return g_steal_pointer(&file);
}

bool hearth_io_file_write(HearthIoFile *file, const void *bytes, size_t len, GError **error)
{
    return fwrite(bytes, 1, len, file->stream) == len || file_failed(file, error);
}

bool hearth_io_file_commit(HearthIoFile *file, GError **error)
{
    FILE *stream = g_steal_pointer(&file->stream);
    if (fclose(stream) != 0) return file_failed(file, error);
    if (file->temporary && g_rename(file->temporary, file->path) != 0)
        return file_failed(file, error);
    g_clear_pointer(&file->temporary, g_free);
    return true;
}

void hearth_io_file_free(HearthIoFile *file)
{
    if (!file) return;
    if (file->stream) fclose(file->stream);
    if (file->temporary) g_unlink(file->temporary);
    g_free(file->temporary);
    g_free(file->path);
    g_free(file);
}
