#include "attachment.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "error.h"

void hearth_attachment_free(HearthAttachment *attachment)
{
    if (!attachment) return;
    g_free(attachment->name);
    g_free(attachment->text);
    g_free(attachment);
}

/* ---- reading ----------------------------------------------------------------------------------*/

static void fail(GTask *task, char *sentence)
{
    g_task_return_new_error(task, HEARTH_ERROR, HEARTH_ERROR_REFUSED, "%s", sentence);
    g_free(sentence);
}

static void fail_too_large(GTask *task, const char *name)
{
    g_autofree char *most = g_format_size_full(HEARTH_ATTACHMENT_MOST, G_FORMAT_SIZE_IEC_UNITS);
    /* Translators: a file, a size */
    g_task_return_new_error(task, HEARTH_ERROR, HEARTH_ERROR_REFUSED,
                            _("“%s” is larger than %s. Attach a part of it."), name, most);
}

/* Asked for after each block: a file may be longer than it said, or never end. */
static gboolean read_more(const char *contents G_GNUC_UNUSED, goffset size,
                          void *task G_GNUC_UNUSED)
{
    return size <= HEARTH_ATTACHMENT_MOST;
}

static void loaded(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(GTask) task = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    const char *name = g_task_get_task_data(task);
    gsize len = 0;
    if (!g_file_load_partial_contents_finish(G_FILE(source), result, &text, &len, NULL, &error)) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    if (len > HEARTH_ATTACHMENT_MOST) {
        fail_too_large(task, name);
        return;
    }
    const char *begin = g_str_has_prefix(text, "\xef\xbb\xbf") ? text + 3 : text;
    len -= begin - text;
    if (!g_utf8_validate_len(begin, len, NULL)) {
        fail(task,
             g_strdup_printf(_("“%s” is not plain text (UTF-8). Save it as text and attach that."),
                             name));
        return;
    }
    HearthAttachment *attachment = g_new0(HearthAttachment, 1);
    attachment->name = g_strdup(name);
    attachment->text = g_strndup(begin, len);
    attachment->len = len;
    g_task_return_pointer(task, attachment, (GDestroyNotify)hearth_attachment_free);
}

static void queried(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(GTask) task = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GFileInfo) info = g_file_query_info_finish(G_FILE(source), result, &error);
    if (!info) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    char *name = g_strdelimit(g_strdup(g_file_info_get_display_name(info)), "\n\r`", ' ');
    g_task_set_task_data(task, name, g_free);
    if (g_file_info_get_file_type(info) == G_FILE_TYPE_DIRECTORY) {
        fail(task, g_strdup_printf(_("“%s” is a folder. Attach the files in it."), name));
    } else if (g_file_info_get_file_type(info) != G_FILE_TYPE_REGULAR) {
        fail(task, g_strdup_printf(_("“%s” is not a file that can be read whole."), name));
    } else if (g_file_info_get_size(info) > HEARTH_ATTACHMENT_MOST) {
        fail_too_large(task, name);
    } else {
        GCancellable *cancellable = g_task_get_cancellable(task);
        g_file_load_partial_contents_async(G_FILE(source), cancellable, read_more, loaded,
                                           g_steal_pointer(&task));
    }
}

void hearth_attachment_read_async(GFile *file, GCancellable *cancellable, GAsyncReadyCallback done,
                                  void *data)
{
    GTask *task = g_task_new(file, cancellable, done, data);
    g_file_query_info_async(file,
                            G_FILE_ATTRIBUTE_STANDARD_TYPE
                            "," G_FILE_ATTRIBUTE_STANDARD_SIZE
                            "," G_FILE_ATTRIBUTE_STANDARD_DISPLAY_NAME,
                            G_FILE_QUERY_INFO_NONE, G_PRIORITY_DEFAULT, cancellable, queried, task);
}

HearthAttachment *hearth_attachment_read_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}

/* ---- writing ----------------------------------------------------------------------------------*/

/* A fence longer than any in the text. */
static int fence_length(const char *text)
{
    int longest = 2, run = 0;
    for (; *text; text++) {
        run = *text == '`' ? run + 1 : 0;
        longest = MAX(longest, run);
    }
    return longest + 1;
}

void hearth_attachment_append(const char *name, const char *text, GString *prompt)
{
    g_autofree char *fence = g_strnfill(fence_length(text), '`');
    const char *dot = strrchr(name, '.');
    const char *language = dot && dot[1] && !strchr(dot, ' ') ? dot + 1 : "";
    if (prompt->len) g_string_append(prompt, "\n\n");
    g_string_append_printf(prompt, "`%s`:\n%s%s\n", name, fence, language);
    g_string_append(prompt, text);
    if (*text && !g_str_has_suffix(prompt->str, "\n")) g_string_append_c(prompt, '\n');
    g_string_append(prompt, fence);
}
