#include "store/files/export.h"

#include <glib/gi18n.h>

#include "store/table/table.h"

#define SLICE ((gsize)256 << 10) /* bytes of text */
#define SLICE_TIME (20 * G_TIME_SPAN_MILLISECOND)

struct HearthExport {
    gint64 conversation; /* 0 = all */
    const HearthExportFormatter *formatter;
    GFile *file, *part;        /* part: beside it, until all is written */
    GFileOutputStream *stream; /* NULL before the first slice */
    GPtrArray *conversations;
    guint at; /* index of the conversation at hand */
    bool inside;
    HearthExportPlace place;
};

HearthExport *hearth_export_new(gint64 conversation, HearthExportFormat format, GFile *file)
{
    HearthExport *self = g_new0(HearthExport, 1);
    self->conversation = conversation;
    self->formatter = format == HEARTH_EXPORT_JSON ? &hearth_export_json : &hearth_export_markdown;
    self->file = g_object_ref(file);
    return self;
}

void hearth_export_free(HearthExport *self)
{
    if (!self) return;
    if (self->stream) {
        g_output_stream_close(G_OUTPUT_STREAM(self->stream), NULL, NULL);
        g_file_delete(self->part, NULL, NULL);
    }
    g_clear_object(&self->stream);
    g_clear_object(&self->part);
    g_clear_object(&self->file);
    g_clear_pointer(&self->conversations, g_ptr_array_unref);
    g_clear_pointer(&self->place.branch, g_array_unref);
    g_free(self);
}

static bool open_file(HearthExport *self, GCancellable *cancellable, GError **error)
{
    g_autoptr(GFile) folder = g_file_get_parent(self->file);
    g_autofree char *name = g_file_get_basename(self->file);
    g_autofree char *part_name = g_strdup_printf(".%s.part", name);
    if (!folder)
        return hearth_error(error, HEARTH_ERROR_USAGE, _("“%s” is no file to export to."), name);
    self->part = g_file_get_child(folder, part_name);
    self->stream = g_file_replace(self->part, NULL, FALSE,
                                  G_FILE_CREATE_REPLACE_DESTINATION | G_FILE_CREATE_PRIVATE,
                                  cancellable, error);
    return self->stream != NULL;
}

static bool close_file(HearthExport *self, GCancellable *cancellable, GError **error)
{
    bool ok =
        g_output_stream_close(G_OUTPUT_STREAM(self->stream), cancellable, error) &&
        g_file_move(self->part, self->file, G_FILE_COPY_OVERWRITE, cancellable, NULL, NULL, error);
    if (ok) g_clear_object(&self->stream);
    return ok;
}

static int begin(HearthExport *self, HearthDb *db, GString *out)
{
    int rc;
    self->conversations = hearth_table_conversation_list(db, self->conversation, &rc);
    return rc ? rc : self->formatter->begin(db, self->conversations, self->conversation == 0, out);
}

/* One piece of the conversation at hand. */
static int go_on(HearthExport *self, HearthDb *db, GString *out)
{
    bool more = true;
    int rc;
    if (!self->inside) {
        self->place.row = self->conversations->pdata[self->at];
        self->place.after = 0;
        self->inside = true;
        rc = self->formatter->conversation(db, &self->place, self->at == 0, out);
        if (rc) return rc;
    }
    rc = self->formatter->messages(db, &self->place, &more, out);
    if (rc || more) return rc;
    g_clear_pointer(&self->place.branch, g_array_unref);
    self->inside = false;
    self->at++;
    return SQLITE_OK;
}

bool hearth_export_step(HearthExport *self, HearthDb *db, GCancellable *cancellable, bool *ret_more,
                        GError **error)
{
    int rc = SQLITE_OK;
    gint64 until = g_get_monotonic_time() + SLICE_TIME;
    g_autoptr(GString) out = g_string_new(NULL);
    if (!self->stream) {
        if (!open_file(self, cancellable, error)) return false;
        rc = begin(self, db, out);
    }
    if (!rc && self->conversation && !self->conversations->len)
        return hearth_error(error, HEARTH_ERROR_USAGE, _("The conversation is no longer there."));
    while (!rc && self->at < self->conversations->len && out->len < SLICE &&
           g_get_monotonic_time() < until)
        rc = go_on(self, db, out);
    if (rc) return hearth_db_error(error, db, rc);
    *ret_more = self->at < self->conversations->len;
    if (!*ret_more) self->formatter->end(out);
    if (!g_output_stream_write_all(G_OUTPUT_STREAM(self->stream), out->str, out->len, NULL,
                                   cancellable, error))
        return false;
    return *ret_more || close_file(self, cancellable, error);
}
