#include "transfer.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "compat.h"
#include "window/sidebar/row.h"

typedef struct {
    HearthWindow *window;
    HearthConversation *conversation; /* NULL = all */
} Transfer;

static Transfer *transfer_new(HearthWindow *window, HearthConversation *conversation)
{
    Transfer *transfer = g_new0(Transfer, 1);
    g_set_object(&transfer->window, window);
    g_set_object(&transfer->conversation, conversation);
    return transfer;
}

static void transfer_free(gpointer data)
{
    Transfer *transfer = data;
    g_clear_object(&transfer->window);
    g_clear_object(&transfer->conversation);
    g_free(transfer);
}

static GListStore *filters_new(bool markdown)
{
    static const struct {
        const char *name, *pattern;
        bool markdown;
    } kinds[] = {{N_("Markdown"), "*.md", true}, {N_("JSON"), "*.json", false}};
    GListStore *filters = g_list_store_new(GTK_TYPE_FILE_FILTER);
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (kinds[i].markdown && !markdown) continue;
        g_autoptr(GtkFileFilter) filter = gtk_file_filter_new();
        gtk_file_filter_set_name(filter, _(kinds[i].name));
        gtk_file_filter_add_pattern(filter, kinds[i].pattern);
        g_list_store_append(filters, filter);
    }
    return filters;
}

/* ---- export ---------------------------------------------------------------------------------- */

/* By the name's ending; without one, all is JSON: somebody may want it back. */
bool hearth_transfer_is_json(const char *name, bool all)
{
    g_autofree char *folded = g_ascii_strdown(name, -1);
    return g_str_has_suffix(folded, ".json") || (all && !g_str_has_suffix(folded, ".md"));
}

static void on_exported(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(HearthWindow) window = data;
    g_autoptr(GError) error = NULL;
    if (hearth_history_export_finish(HEARTH_HISTORY(source), result, &error))
        hearth_window_say(window, _("Exported"));
    else
        hearth_window_notice(window, error->message);
}

static void on_export_chosen(GFile *file, gpointer data)
{
    Transfer *transfer = data;
    if (!file) return;
    g_autofree char *name = g_file_get_basename(file);
    hearth_history_export_async(hearth_app_get_history(hearth_window_get_app(transfer->window)),
                                transfer->conversation,
                                hearth_transfer_is_json(name, !transfer->conversation), file,
                                on_exported, g_object_ref(transfer->window));
}

/* A title as the name of a file, on any system. */
static char *file_name_of(HearthConversation *conversation)
{
    g_autofree char *name = g_strdup(hearth_row_title_of(conversation));
    g_strdelimit(name, "/\\:*?\"<>|\n\t", ' ');
    g_strstrip(name);
    g_autofree char *brief = g_utf8_substring(name, 0, MIN(g_utf8_strlen(name, -1), 60));
    const char *shown = brief + strspn(brief, ".");
    return g_strdup_printf("%s.md", *shown ? shown : _("New Conversation"));
}

void hearth_transfer_export(HearthWindow *window, HearthConversation *conversation)
{
    g_autoptr(GListStore) filters = filters_new(conversation != NULL);
    g_autofree char *name =
        conversation ? file_name_of(conversation) : g_strdup(_("Conversations.json"));
    hearth_compat_save_file(GTK_WINDOW(window),
                            conversation ? _("Export Conversation") : _("Export All Conversations"),
                            name, G_LIST_MODEL(filters), on_export_chosen,
                            transfer_new(window, conversation), transfer_free);
}

/* ---- import ---------------------------------------------------------------------------------- */

static void on_imported(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(HearthWindow) window = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *left_out = NULL;
    guint n = 0;
    if (!hearth_history_import_finish(HEARTH_HISTORY(source), result, &n, &left_out, &error)) {
        hearth_window_notice(window, error->message);
        return;
    }
    g_autofree char *said = g_strdup_printf(
        g_dngettext(GETTEXT_PACKAGE, "%u conversation imported", "%u conversations imported", n),
        n);
    hearth_window_say(window, said);
    if (left_out) hearth_window_notice(window, left_out);
}

static void on_import_chosen(GFile *file, gpointer data)
{
    Transfer *transfer = data;
    if (!file) return;
    hearth_history_import_async(hearth_app_get_history(hearth_window_get_app(transfer->window)),
                                file, on_imported, g_object_ref(transfer->window));
}

void hearth_transfer_import(HearthWindow *window)
{
    g_autoptr(GListStore) filters = filters_new(false);
    hearth_compat_open_file(GTK_WINDOW(window), _("Import Conversations"), G_LIST_MODEL(filters),
                            on_import_chosen, transfer_new(window, NULL), transfer_free);
}
