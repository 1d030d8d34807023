#include "models/model_row.h"

#include <glib/gi18n-lib.h>

#include "amount.h"
#include "models/model_name.h"

struct _HearthModelRow {
    AdwActionRow parent;
    char *path;
    GtkWidget *check;
    GCancellable *cancellable; /* of the look at the file */
};

G_DEFINE_FINAL_TYPE(HearthModelRow, hearth_model_row, ADW_TYPE_ACTION_ROW)

static void set_usable(HearthModelRow *row, bool usable)
{
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), usable);
    if (usable)
        gtk_widget_remove_css_class(GTK_WIDGET(row), "missing-model");
    else
        gtk_widget_add_css_class(GTK_WIDGET(row), "missing-model");
}

static void on_looked(GObject *file, GAsyncResult *result, gpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GFileInfo) info = g_file_query_info_finish(G_FILE(file), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) return; /* the row is gone */
    HearthModelRow *row = data;
    set_usable(row, info != NULL);
    if (!info) {
        bool gone = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
        adw_action_row_set_subtitle(ADW_ACTION_ROW(row),
                                    gone ? _("The file is no longer there") : error->message);
        return;
    }
    g_autoptr(GFile) folder = g_file_get_parent(G_FILE(file));
    g_autofree char *name = folder ? g_file_get_parse_name(folder) : g_strdup("");
    g_autofree char *size = hearth_amount_bytes((uint64_t)g_file_info_get_size(info));
    /* Translators: size and folder of a model's file */
    g_autofree char *text = g_strdup_printf(C_("file", "%s in %s"), size, name);
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), text);
}

/* GObject */

static void hearth_model_row_map(GtkWidget *widget)
{
    HearthModelRow *row = HEARTH_MODEL_ROW(widget);
    GTK_WIDGET_CLASS(hearth_model_row_parent_class)->map(widget);
    if (!*row->path) return;
    g_autoptr(GFile) file = g_file_new_for_path(row->path);
    g_file_query_info_async(file, G_FILE_ATTRIBUTE_STANDARD_SIZE, G_FILE_QUERY_INFO_NONE,
                            G_PRIORITY_DEFAULT, row->cancellable, on_looked, row);
}

static void hearth_model_row_dispose(GObject *object)
{
    HearthModelRow *row = HEARTH_MODEL_ROW(object);
    g_cancellable_cancel(row->cancellable);
    g_clear_object(&row->cancellable);
    g_clear_pointer(&row->path, g_free);
    G_OBJECT_CLASS(hearth_model_row_parent_class)->dispose(object);
}

static void hearth_model_row_class_init(HearthModelRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_model_row_dispose;
    GTK_WIDGET_CLASS(class)->map = hearth_model_row_map;
    g_signal_new("remove", HEARTH_TYPE_MODEL_ROW, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                 G_TYPE_NONE, 0);
}

static void hearth_model_row_init(HearthModelRow *row)
{
    row->cancellable = g_cancellable_new();
    row->check = gtk_image_new_from_icon_name("object-select-symbolic");
    gtk_accessible_update_property(GTK_ACCESSIBLE(row->check), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("In Use"), -1);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), row->check);
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    adw_action_row_set_subtitle_lines(ADW_ACTION_ROW(row), 2);
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), TRUE);
}

static void on_remove(HearthModelRow *row) { g_signal_emit_by_name(row, "remove"); }

GtkWidget *hearth_model_row_new(const char *path)
{
    HearthModelRow *row = g_object_new(HEARTH_TYPE_MODEL_ROW, NULL);
    row->path = g_strdup(path);
    g_autofree char *name = hearth_model_name_of_path(path);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), name);
    gtk_widget_set_visible(row->check, FALSE);
    if (!*path) {
        adw_action_row_set_subtitle(ADW_ACTION_ROW(row), _("Built in, small, answers at once"));
        return GTK_WIDGET(row);
    }
    gtk_widget_set_tooltip_text(GTK_WIDGET(row), path);
    GtkWidget *remove = gtk_button_new_from_icon_name("window-close-symbolic");
    gtk_widget_set_valign(remove, GTK_ALIGN_CENTER);
    gtk_widget_add_css_class(remove, "flat");
    gtk_widget_add_css_class(remove, "circular");
    g_autofree char *label = g_strdup_printf(_("Remove %s from the List"), name);
    gtk_widget_set_tooltip_text(remove, _("Remove from the List"));
    gtk_accessible_update_property(GTK_ACCESSIBLE(remove), GTK_ACCESSIBLE_PROPERTY_LABEL, label,
                                   -1);
    g_signal_connect_swapped(remove, "clicked", G_CALLBACK(on_remove), row);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), remove);
    return GTK_WIDGET(row);
}

const char *hearth_model_row_get_path(HearthModelRow *row) { return row->path; }

void hearth_model_row_set_current(HearthModelRow *row, bool current)
{
    gtk_widget_set_visible(row->check, current);
}
