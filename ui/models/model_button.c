#include "models/model_button.h"

#include <glib/gi18n-lib.h>

#include "compat.h"
#include "models/model_menu.h"
#include "models/model_name.h"

struct _HearthModelButton {
    AdwBin parent;
    HearthApp *app;
    GtkWidget *button, *popover, *warning, *label, *progress;
};

G_DEFINE_FINAL_TYPE(HearthModelButton, hearth_model_button, ADW_TYPE_BIN)

/* The toggle button inside, which has the focus, takes its name from here. */
static void name_button(HearthModelButton *button, const char *text)
{
    gtk_accessible_update_property(GTK_ACCESSIBLE(button->button), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   C_("button", "Model"), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, text,
                                   -1);
    gtk_widget_set_tooltip_text(button->button, text);
}

static char *loading_text(HearthWorker *worker, double *ret_fraction)
{
    guint64 loaded = 0, total = 0;
    g_object_get(worker, "loaded", &loaded, "total", &total, NULL);
    *ret_fraction = total ? (double)loaded / (double)total : 0;
    if (!total) return g_strdup(_("Loading…"));
    /* Translators: how much of the model is loaded */
    return g_strdup_printf(_("Loading… %d %%"), (int)(*ret_fraction * 100));
}

static void update(HearthModelButton *button)
{
    HearthWorker *worker = hearth_app_get_worker(button->app);
    HearthModelState state = hearth_worker_get_state(worker);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    double fraction = 0;
    g_autofree char *path = NULL, *text = NULL;
    g_object_get(worker, "path", &path, NULL);
    if (state == HEARTH_MODEL_LOADING)
        text = loading_text(worker, &fraction);
    else if (state == HEARTH_MODEL_READY && info)
        text = hearth_model_name_of_info(info);
    else if (state == HEARTH_MODEL_FAILED)
        text = hearth_model_name_of_path(path);
    else
        text = g_strdup(_("No Model"));
    gtk_label_set_text(GTK_LABEL(button->label), text);
    gtk_widget_set_visible(button->warning, state == HEARTH_MODEL_FAILED);
    gtk_widget_set_visible(button->progress, state == HEARTH_MODEL_LOADING);
    gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(button->progress), fraction);
    const char *error = state == HEARTH_MODEL_FAILED ? hearth_worker_get_error(worker) : NULL;
    name_button(button, error ? error : text);
}

static void on_picked(HearthModelButton *button)
{
    gtk_menu_button_popdown(GTK_MENU_BUTTON(button->button));
}

static void on_chosen(GFile *file, gpointer app)
{
    g_autofree char *path = file ? g_file_get_path(file) : NULL;
    if (path) hearth_app_open_model(app, path);
}

/* GObject */

static void hearth_model_button_dispose(GObject *object)
{
    HearthModelButton *button = HEARTH_MODEL_BUTTON(object);
    g_clear_object(&button->app);
    G_OBJECT_CLASS(hearth_model_button_parent_class)->dispose(object);
}

static void hearth_model_button_class_init(HearthModelButtonClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_model_button_dispose;
    gtk_widget_class_set_template_from_resource(
        widget, "/io/github/hearth_ai/Hearth/models/model_button.ui");
    gtk_widget_class_bind_template_child(widget, HearthModelButton, button);
    gtk_widget_class_bind_template_child(widget, HearthModelButton, popover);
    gtk_widget_class_bind_template_child(widget, HearthModelButton, warning);
    gtk_widget_class_bind_template_child(widget, HearthModelButton, label);
    gtk_widget_class_bind_template_child(widget, HearthModelButton, progress);
}

static void hearth_model_button_init(HearthModelButton *button)
{
    gtk_widget_init_template(GTK_WIDGET(button));
}

GtkWidget *hearth_model_button_new(HearthApp *app)
{
    HearthModelButton *button = g_object_new(HEARTH_TYPE_MODEL_BUTTON, NULL);
    button->app = g_object_ref(app);
    GtkWidget *menu = hearth_model_menu_new(app);
    gtk_popover_set_child(GTK_POPOVER(button->popover), menu);
    g_signal_connect_object(menu, "picked", G_CALLBACK(on_picked), button, G_CONNECT_SWAPPED);
    g_signal_connect_object(menu, "open", G_CALLBACK(hearth_model_button_open_dialog), button,
                            G_CONNECT_SWAPPED);
    static const char *const changes[] = {"notify::state", "notify::info", "notify::path",
                                          "notify::error", "notify::loaded"};
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
        g_signal_connect_object(hearth_app_get_worker(app), changes[i], G_CALLBACK(update), button,
                                G_CONNECT_SWAPPED);
    update(button);
    return GTK_WIDGET(button);
}

void hearth_model_button_open_dialog(HearthModelButton *button)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(button));
    if (!root) return;
    gtk_menu_button_popdown(GTK_MENU_BUTTON(button->button));
    g_autoptr(GtkFileFilter) models = gtk_file_filter_new(), all = gtk_file_filter_new();
    gtk_file_filter_set_name(models, _("Models (GGUF)"));
    gtk_file_filter_add_suffix(models, "gguf");
    gtk_file_filter_set_name(all, _("All Files"));
    gtk_file_filter_add_pattern(all, "*");
    g_autoptr(GListStore) filters = g_list_store_new(GTK_TYPE_FILE_FILTER);
    g_list_store_append(filters, models);
    g_list_store_append(filters, all);
    hearth_compat_open_file(GTK_WINDOW(root), _("Open a Model File"), G_LIST_MODEL(filters),
                            on_chosen, g_object_ref(button->app), g_object_unref);
}
