#include "models/model_menu.h"

#include <glib/gi18n-lib.h>

#include "amount.h"
#include "models/model_name.h"
#include "models/model_row.h"

struct _HearthModelMenu {
    AdwBin parent;
    HearthApp *app;
    GtkWidget *name, *stack, *load_label, *progress, *progress_text, *details, *error, *models;
    int n_details;
};

G_DEFINE_FINAL_TYPE(HearthModelMenu, hearth_model_menu, ADW_TYPE_BIN)

/* ---- the model of now ------------------------------------------------------------------------ */

static void add_detail(HearthModelMenu *menu, const char *name, const char *value)
{
    GtkWidget *name_label = gtk_label_new(name), *value_label = gtk_label_new(value);
    gtk_label_set_xalign(GTK_LABEL(name_label), 0);
    gtk_label_set_xalign(GTK_LABEL(value_label), 0);
    gtk_label_set_wrap(GTK_LABEL(value_label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(value_label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_max_width_chars(GTK_LABEL(value_label), 24);
    gtk_widget_set_valign(name_label, GTK_ALIGN_START);
    gtk_widget_add_css_class(name_label, "dim-label");
    gtk_widget_add_css_class(value_label, "numeric");
    gtk_grid_attach(GTK_GRID(menu->details), name_label, 0, menu->n_details, 1, 1);
    gtk_grid_attach(GTK_GRID(menu->details), value_label, 1, menu->n_details, 1, 1);
    menu->n_details++;
}

static uint64_t weight_bytes(const HearthModelInfo *info)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < HEARTH_KIND_KV; kind++)
        for (int device = 0; device < HEARTH_N_DEVICES; device++) sum += info->bytes[kind][device];
    return sum;
}

static void add_parameters(HearthModelMenu *menu, const HearthModelInfo *info)
{
    g_autofree char *all = hearth_amount_parameters(info->parameters);
    if (!info->parameters) return;
    if (!info->active_parameters || info->active_parameters >= info->parameters) {
        add_detail(menu, _("Parameters"), all);
        return;
    }
    g_autofree char *active = hearth_amount_parameters(info->active_parameters);
    /* Translators: parameters of a model, and how many of them work on one token */
    g_autofree char *text = g_strdup_printf(_("%s, %s active"), all, active);
    add_detail(menu, _("Parameters"), text);
}

static void show_details(HearthModelMenu *menu, const HearthModelInfo *info)
{
    GtkWidget *child;
    while ((child = gtk_widget_get_first_child(menu->details)))
        gtk_grid_remove(GTK_GRID(menu->details), child);
    menu->n_details = 0;
    if (!info) return;
    if (info->arch && *info->arch) add_detail(menu, _("Family"), info->arch);
    add_parameters(menu, info);
    if (info->n_experts > 0) {
        /* Translators: experts of a model, and how many of them work on one token */
        g_autofree char *text =
            g_strdup_printf(_("%d, %d active"), info->n_experts, info->n_experts_used);
        add_detail(menu, _("Experts"), text);
    }
    if (info->quant && *info->quant) add_detail(menu, _("Quantization"), info->quant);
    g_autofree char *size = hearth_amount_bytes(weight_bytes(info));
    add_detail(menu, _("Size"), size);
    if (info->context_trained > 0) {
        g_autofree char *context = hearth_amount_tokens(info->context_trained);
        add_detail(menu, _("Context"), context);
    }
}

static void show_progress(HearthModelMenu *menu, HearthWorker *worker)
{
    guint64 loaded = 0, total = 0;
    double speed = 0;
    g_object_get(worker, "loaded", &loaded, "total", &total, "speed", &speed, NULL);
    if (!total) {
        gtk_label_set_text(GTK_LABEL(menu->progress_text), _("Looking into the file…"));
        gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(menu->progress), 0);
        return;
    }
    gtk_progress_bar_set_fraction(GTK_PROGRESS_BAR(menu->progress), (double)loaded / (double)total);
    g_autofree char *bytes = hearth_amount_bytes_of(loaded, total);
    g_autoptr(GString) text = g_string_new(bytes);
    if (speed > 0) {
        g_autofree char *per_second = hearth_amount_speed(speed);
        g_autofree char *left = hearth_amount_seconds_left((double)(total - loaded) / speed);
        g_string_append_printf(text, " · %s", per_second);
        if (left) g_string_append_printf(text, " · %s", left);
    }
    gtk_label_set_text(GTK_LABEL(menu->progress_text), text->str);
}

static void show_none(HearthModelMenu *menu)
{
    g_autofree char *last = g_settings_get_string(hearth_app_get_settings(menu->app), "last-model");
    g_autofree char *name = hearth_model_name_of_path(last);
    g_autofree char *text = g_strdup_printf(_("Load %s"), name);
    gtk_label_set_text(GTK_LABEL(menu->name), _("No Model"));
    gtk_label_set_text(GTK_LABEL(menu->load_label), text);
}

static void mark_current(HearthModelMenu *menu, const char *path)
{
    for (int i = 0;; i++) {
        GtkListBoxRow *row = gtk_list_box_get_row_at_index(GTK_LIST_BOX(menu->models), i);
        if (!row) return;
        HearthModelRow *model = HEARTH_MODEL_ROW(row);
        hearth_model_row_set_current(
            model, path && g_strcmp0(hearth_model_row_get_path(model), path) == 0);
    }
}

static void update(HearthModelMenu *menu)
{
    static const char *const pages[] = {[HEARTH_MODEL_NONE] = "none",
                                        [HEARTH_MODEL_LOADING] = "loading",
                                        [HEARTH_MODEL_READY] = "ready",
                                        [HEARTH_MODEL_FAILED] = "failed"};
    HearthWorker *worker = hearth_app_get_worker(menu->app);
    HearthModelState state = hearth_worker_get_state(worker);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    g_autofree char *path = NULL;
    g_object_get(worker, "path", &path, NULL);
    g_autofree char *name = info && state == HEARTH_MODEL_READY ? hearth_model_name_of_info(info)
                                                                : hearth_model_name_of_path(path);
    gtk_label_set_text(GTK_LABEL(menu->name), name);
    if (state == HEARTH_MODEL_NONE) show_none(menu);
    if (state == HEARTH_MODEL_LOADING) show_progress(menu, worker);
    if (state == HEARTH_MODEL_READY) show_details(menu, info);
    if (state == HEARTH_MODEL_FAILED) {
        const char *error = hearth_worker_get_error(worker);
        gtk_label_set_text(GTK_LABEL(menu->error), error ? error : "");
    }
    gtk_stack_set_visible_child_name(GTK_STACK(menu->stack), pages[state]);
    mark_current(menu, state == HEARTH_MODEL_READY ? path ? path : "" : NULL);
}

static void on_progress(HearthModelMenu *menu)
{
    HearthWorker *worker = hearth_app_get_worker(menu->app);
    if (hearth_worker_get_state(worker) == HEARTH_MODEL_LOADING) show_progress(menu, worker);
}

/* ---- acting ---------------------------------------------------------------------------------- */

static void open_path(HearthModelMenu *menu, const char *path)
{
    g_autofree char *kept = g_strdup(path); /* opening rebuilds the list that it comes from */
    g_signal_emit_by_name(menu, "picked");
    hearth_app_open_model(menu->app, kept);
}

static void on_row_activated(HearthModelMenu *menu, HearthModelRow *row)
{
    HearthWorker *worker = hearth_app_get_worker(menu->app);
    const char *path = hearth_model_row_get_path(row);
    g_autofree char *now = NULL;
    g_object_get(worker, "path", &now, NULL);
    if (hearth_worker_get_state(worker) == HEARTH_MODEL_READY && g_strcmp0(now, path) == 0)
        g_signal_emit_by_name(menu, "picked");
    else
        open_path(menu, path);
}

static void on_load(HearthModelMenu *menu)
{
    g_autofree char *last = g_settings_get_string(hearth_app_get_settings(menu->app), "last-model");
    open_path(menu, last);
}

static void on_retry(HearthModelMenu *menu)
{
    g_autofree char *path = NULL;
    g_object_get(hearth_app_get_worker(menu->app), "path", &path, NULL);
    hearth_app_open_model(menu->app, path);
}

static void on_unload(HearthModelMenu *menu)
{
    hearth_worker_unload(hearth_app_get_worker(menu->app));
}

static void on_open(HearthModelMenu *menu) { g_signal_emit_by_name(menu, "open"); }

/* ---- the list -------------------------------------------------------------------------------- */

static void on_remove(HearthModelMenu *menu, HearthModelRow *row)
{
    GSettings *settings = hearth_app_get_settings(menu->app);
    g_auto(GStrv) paths = g_settings_get_strv(settings, "recent-models");
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    for (char **path = paths; *path; path++)
        if (strcmp(*path, hearth_model_row_get_path(row)) != 0) g_ptr_array_add(kept, *path);
    g_ptr_array_add(kept, NULL);
    g_settings_set_strv(settings, "recent-models", (const char *const *)kept->pdata);
}

static void fill_list(HearthModelMenu *menu)
{
    GtkListBox *list = GTK_LIST_BOX(menu->models);
    GtkListBoxRow *old;
    while ((old = gtk_list_box_get_row_at_index(list, 0)))
        gtk_list_box_remove(list, GTK_WIDGET(old));
    gtk_list_box_append(list, hearth_model_row_new(""));
    g_auto(GStrv) paths = g_settings_get_strv(hearth_app_get_settings(menu->app), "recent-models");
    for (char **path = paths; *path; path++) {
        if (!**path) continue; /* the built-in one is there already */
        GtkWidget *row = hearth_model_row_new(*path);
        g_signal_connect_object(row, "remove", G_CALLBACK(on_remove), menu, G_CONNECT_SWAPPED);
        gtk_list_box_append(list, row);
    }
    update(menu);
}

/* GObject */

static void hearth_model_menu_dispose(GObject *object)
{
    HearthModelMenu *menu = HEARTH_MODEL_MENU(object);
    g_clear_object(&menu->app);
    G_OBJECT_CLASS(hearth_model_menu_parent_class)->dispose(object);
}

static void hearth_model_menu_class_init(HearthModelMenuClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_model_menu_dispose;
    gtk_widget_class_set_template_from_resource(widget,
                                                "/io/github/hearth_ai/Hearth/models/model_menu.ui");
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, name);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, stack);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, load_label);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, progress);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, progress_text);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, details);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, error);
    gtk_widget_class_bind_template_child(widget, HearthModelMenu, models);
    gtk_widget_class_bind_template_callback(widget, on_load);
    gtk_widget_class_bind_template_callback(widget, on_unload);
    gtk_widget_class_bind_template_callback(widget, on_retry);
    gtk_widget_class_bind_template_callback(widget, on_open);
    gtk_widget_class_bind_template_callback(widget, on_row_activated);
    g_signal_new("picked", HEARTH_TYPE_MODEL_MENU, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                 G_TYPE_NONE, 0);
    g_signal_new("open", HEARTH_TYPE_MODEL_MENU, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                 G_TYPE_NONE, 0);
}

static GtkSizeRequestMode get_request_mode(GtkWidget *widget)
{
    return gtk_widget_get_request_mode(adw_bin_get_child(ADW_BIN(widget)));
}

/* GTK 4.8 asks how high the menu is when it is as wide as its popover with frame and shadow; it
 * becomes as wide as it likes to be, and texts that wrap there took the room of what is below them.
 */
static void measure(GtkWidget *widget, GtkOrientation orientation, int for_size, int *ret_minimum,
                    int *ret_natural, int *ret_minimum_baseline, int *ret_natural_baseline)
{
    GtkWidget *child = adw_bin_get_child(ADW_BIN(widget));
    int width;
    gtk_widget_measure(child, GTK_ORIENTATION_HORIZONTAL, -1, NULL, &width, NULL, NULL);
    if (orientation == GTK_ORIENTATION_VERTICAL && (for_size < 0 || for_size > width))
        for_size = width;
    gtk_widget_measure(child, orientation, for_size, ret_minimum, ret_natural, ret_minimum_baseline,
                       ret_natural_baseline);
}

static void allocate(GtkWidget *widget, int width, int height, int baseline)
{
    gtk_widget_allocate(adw_bin_get_child(ADW_BIN(widget)), width, height, baseline, NULL);
}

static void hearth_model_menu_init(HearthModelMenu *menu)
{
    gtk_widget_init_template(GTK_WIDGET(menu));
    gtk_widget_set_layout_manager(GTK_WIDGET(menu),
                                  gtk_custom_layout_new(get_request_mode, measure, allocate));
}

GtkWidget *hearth_model_menu_new(HearthApp *app)
{
    HearthModelMenu *menu = g_object_new(HEARTH_TYPE_MODEL_MENU, NULL);
    menu->app = g_object_ref(app);
    HearthWorker *worker = hearth_app_get_worker(app);
    static const char *const changes[] = {"notify::state", "notify::info", "notify::path",
                                          "notify::error"};
    for (size_t i = 0; i < G_N_ELEMENTS(changes); i++)
        g_signal_connect_object(worker, changes[i], G_CALLBACK(update), menu, G_CONNECT_SWAPPED);
    g_signal_connect_object(worker, "notify::loaded", G_CALLBACK(on_progress), menu,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(hearth_app_get_settings(app), "changed::recent-models",
                            G_CALLBACK(fill_list), menu, G_CONNECT_SWAPPED);
    fill_list(menu);
    return GTK_WIDGET(menu);
}
