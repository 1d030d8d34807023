#include "settings/machine/reload_row.h"

#include <glib/gi18n-lib.h>

struct _HearthReloadRow {
    AdwActionRow parent;
    HearthApp *app;
};

G_DEFINE_FINAL_TYPE(HearthReloadRow, hearth_reload_row, ADW_TYPE_ACTION_ROW)

static void on_reload(HearthReloadRow *row)
{
    g_autofree char *path = NULL;
    g_object_get(hearth_app_get_worker(row->app), "path", &path, NULL);
    hearth_app_open_model(row->app, path);
}

/* GObject */

static void hearth_reload_row_dispose(GObject *object)
{
    g_clear_object(&HEARTH_RELOAD_ROW(object)->app);
    G_OBJECT_CLASS(hearth_reload_row_parent_class)->dispose(object);
}

static void hearth_reload_row_class_init(HearthReloadRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_reload_row_dispose;
}

static void hearth_reload_row_init(HearthReloadRow *row)
{
    GtkWidget *button = gtk_button_new_with_label(_("Load Again"));
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), button);
    gtk_widget_set_visible(GTK_WIDGET(row), FALSE);
    g_signal_connect_object(button, "clicked", G_CALLBACK(on_reload), row, G_CONNECT_SWAPPED);
}

GtkWidget *hearth_reload_row_new(HearthApp *app)
{
    HearthReloadRow *row = g_object_new(HEARTH_TYPE_RELOAD_ROW, NULL);
    row->app = g_object_ref(app);
    return GTK_WIDGET(row);
}

void hearth_reload_row_set(HearthReloadRow *row, const char *title, const char *text)
{
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row),
                                  title ? title : _("The model has to be loaded again"));
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), text ? text : "");
    gtk_widget_set_visible(GTK_WIDGET(row), text != NULL);
}
