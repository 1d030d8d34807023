#include "compat.h"

#include <glib/gi18n-lib.h>

#include "app.h"

/* A question that waits for its answer. */
typedef struct {
    GCallback done;
    gpointer data;
    GDestroyNotify free_data;
} Ask;

static Ask *ask_new(GCallback done, gpointer data, GDestroyNotify free_data)
{
    Ask *ask = g_new(Ask, 1);
    *ask = (Ask){done, data, free_data};
    return ask;
}

static void ask_free(gpointer data)
{
    Ask *ask = data;
    if (ask->free_data) ask->free_data(ask->data);
    g_free(ask);
}

/* ---- closed popovers ------------------------------------------------------------------------- */

#if !GTK_CHECK_VERSION(4, 16, 0)

/* GTK 4.8 lays a closed popover out with every frame in which anything is laid out, since nothing
 * is ever allocated to it, and each time tells it that the pointer moved where the pointer lies
 * over the place that it had. From then on the window takes the pointer to be in the popover: a
 * click there is lost, as long as a toast slides or an answer is being written. 4.15.3 leaves
 * surfaces alone that are not mapped. One that is not there at all is left alone by any. */
static gboolean drop_surface(gpointer popover)
{
    GtkWidget *widget = popover;
    if (!gtk_widget_get_visible(widget) && gtk_widget_get_realized(widget))
        gtk_widget_unrealize(widget);
    return G_SOURCE_REMOVE;
}

/* Not at once, for it is still closing; but before the next frame. */
static gboolean on_popover_closed(GSignalInvocationHint *hint, guint n, const GValue *values,
                                  gpointer data)
{
    (void)hint;
    (void)n;
    (void)data;
    g_idle_add_full(GDK_PRIORITY_EVENTS, drop_surface, g_value_dup_object(&values[0]),
                    g_object_unref);
    return true; /* stay connected */
}

void hearth_compat_mend(void)
{
    static gpointer popovers; /* the class makes the signal */
    if (popovers) return;
    popovers = g_type_class_ref(GTK_TYPE_POPOVER);
    g_signal_add_emission_hook(g_signal_lookup("closed", GTK_TYPE_POPOVER), 0, on_popover_closed,
                               NULL, NULL);
}

#else

void hearth_compat_mend(void) {}

#endif

/* ---- files ----------------------------------------------------------------------------------- */

#if GTK_CHECK_VERSION(4, 10, 0)

static void on_opened(GObject *source, GAsyncResult *result, gpointer data)
{
    Ask *ask = data;
    g_autoptr(GFile) file = gtk_file_dialog_open_finish(GTK_FILE_DIALOG(source), result, NULL);
    ((HearthFileFunc)ask->done)(file, ask->data);
    ask_free(ask);
}

static void on_saved(GObject *source, GAsyncResult *result, gpointer data)
{
    Ask *ask = data;
    g_autoptr(GFile) file = gtk_file_dialog_save_finish(GTK_FILE_DIALOG(source), result, NULL);
    ((HearthFileFunc)ask->done)(file, ask->data);
    ask_free(ask);
}

static void choose_file(GtkWindow *parent, bool save, const char *title, const char *name,
                        GListModel *filters, Ask *ask)
{
    g_autoptr(GtkFileDialog) dialog = gtk_file_dialog_new();
    gtk_file_dialog_set_title(dialog, title);
    if (name) gtk_file_dialog_set_initial_name(dialog, name);
    if (filters) gtk_file_dialog_set_filters(dialog, filters);
    if (save)
        gtk_file_dialog_save(dialog, parent, NULL, on_saved, ask);
    else
        gtk_file_dialog_open(dialog, parent, NULL, on_opened, ask);
}

#else

static void on_file_response(GtkFileChooserNative *native, int response, gpointer data)
{
    Ask *ask = data;
    g_autoptr(GtkFileChooserNative) hold = g_object_ref(native);
    (void)hold;
    GtkWindow *parent = gtk_native_dialog_get_transient_for(GTK_NATIVE_DIALOG(native));
    g_autoptr(GFile) file = NULL;
    if (response == GTK_RESPONSE_ACCEPT) file = gtk_file_chooser_get_file(GTK_FILE_CHOOSER(native));
    ((HearthFileFunc)ask->done)(file, ask->data);
    if (parent) g_object_set_data(G_OBJECT(parent), "hearth-file-chooser", NULL);
}

static void free_native(gpointer native)
{
    gtk_native_dialog_destroy(native);
    g_object_unref(native);
}

static void choose_file(GtkWindow *parent, bool save, const char *title, const char *name,
                        GListModel *filters, Ask *ask)
{
    GtkFileChooserNative *native = gtk_file_chooser_native_new(
        title, parent, save ? GTK_FILE_CHOOSER_ACTION_SAVE : GTK_FILE_CHOOSER_ACTION_OPEN, NULL,
        NULL);
    GtkFileChooser *chooser = GTK_FILE_CHOOSER(native);
    if (name) gtk_file_chooser_set_current_name(chooser, name);
    guint n = filters ? g_list_model_get_n_items(filters) : 0;
    for (guint i = 0; i < n; i++) {
        g_autoptr(GtkFileFilter) filter = g_list_model_get_item(filters, i);
        gtk_file_chooser_add_filter(chooser, filter);
        if (i == 0) gtk_file_chooser_set_filter(chooser, filter);
    }
    gtk_native_dialog_set_modal(GTK_NATIVE_DIALOG(native), true);
    g_signal_connect_data(native, "response", G_CALLBACK(on_file_response), ask,
                          (GClosureNotify)(void (*)(void))ask_free, 0);
    /* The parent keeps it: nobody else does. */
    g_object_set_data_full(G_OBJECT(parent), "hearth-file-chooser", native, free_native);
    gtk_native_dialog_show(GTK_NATIVE_DIALOG(native));
}

#endif

void hearth_compat_open_file(GtkWindow *parent, const char *title, GListModel *filters,
                             HearthFileFunc done, gpointer data, GDestroyNotify free_data)
{
    choose_file(parent, false, title, NULL, filters, ask_new(G_CALLBACK(done), data, free_data));
}

void hearth_compat_save_file(GtkWindow *parent, const char *title, const char *name,
                             GListModel *filters, HearthFileFunc done, gpointer data,
                             GDestroyNotify free_data)
{
    choose_file(parent, true, title, name, filters, ask_new(G_CALLBACK(done), data, free_data));
}

/* ---- About ----------------------------------------------------------------------------------- */

#define ABOUT                                                                                      \
    "application-name", _("Hearth"), "application-icon", HEARTH_APP_ID, "version", HEARTH_VERSION, \
        "developer-name", _("The Hearth Developers"), "copyright", "© 2026 The Hearth Developers", \
        "license-type", GTK_LICENSE_APACHE_2_0, "comments",                                        \
        _("Large language models on the computer you already have. Nothing leaves it."),           \
        "website", "https://github.com/hearth-ai/hearth", "issue-url",                             \
        "https://github.com/hearth-ai/hearth/issues", /* Translators: your names, one a line */    \
        "translator-credits", _("translator-credits"), NULL

void hearth_compat_show_about(GtkWindow *parent)
{
#if ADW_CHECK_VERSION(1, 5, 0)
    AdwDialog *about = g_object_new(ADW_TYPE_ABOUT_DIALOG, ABOUT);
    adw_dialog_present(about, GTK_WIDGET(parent));
#else
    GtkWindow *about = g_object_new(ADW_TYPE_ABOUT_WINDOW, ABOUT);
    gtk_window_set_transient_for(about, parent);
    gtk_window_set_modal(about, true);
    gtk_window_set_destroy_with_parent(about, true);
    gtk_window_present(about);
#endif
}
#undef ABOUT

/* ---- banner ---------------------------------------------------------------------------------- */

typedef struct {
    HearthBannerFunc clicked;
    gpointer data;
} Banner;

static void on_banner_clicked(GtkWidget *widget, gpointer banner)
{
    Banner *self = g_object_get_data(G_OBJECT(banner), "hearth-banner");
    (void)widget;
    self->clicked(banner, self->data);
}

static void remember_banner(GtkWidget *banner, HearthBannerFunc clicked, gpointer data)
{
    Banner *self = g_new(Banner, 1);
    *self = (Banner){clicked, data};
    g_object_set_data_full(G_OBJECT(banner), "hearth-banner", self, g_free);
}

#if ADW_CHECK_VERSION(1, 3, 0)

GtkWidget *hearth_compat_banner_new(HearthBannerFunc clicked, gpointer data)
{
    GtkWidget *banner = adw_banner_new("");
    remember_banner(banner, clicked, data);
    if (clicked) g_signal_connect(banner, "button-clicked", G_CALLBACK(on_banner_clicked), banner);
    return banner;
}

void hearth_compat_banner_show(GtkWidget *banner, const char *title, const char *button)
{
    adw_banner_set_use_markup(ADW_BANNER(banner), false);
    adw_banner_set_title(ADW_BANNER(banner), title);
    adw_banner_set_button_label(ADW_BANNER(banner), button);
    adw_banner_set_revealed(ADW_BANNER(banner), true);
}

void hearth_compat_banner_hide(GtkWidget *banner)
{
    adw_banner_set_revealed(ADW_BANNER(banner), false);
}

#else

GtkWidget *hearth_compat_banner_new(HearthBannerFunc clicked, gpointer data)
{
    GtkWidget *banner = gtk_revealer_new();
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
    GtkWidget *label = gtk_label_new(NULL);
    GtkWidget *button = gtk_button_new();
    gtk_widget_add_css_class(box, "hearth-banner");
    gtk_widget_add_css_class(label, "heading");
    gtk_label_set_wrap(GTK_LABEL(label), true);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
    gtk_widget_set_hexpand(label, true);
    gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
    gtk_box_append(GTK_BOX(box), label);
    gtk_box_append(GTK_BOX(box), button);
    gtk_revealer_set_child(GTK_REVEALER(banner), box);
    remember_banner(banner, clicked, data);
    g_object_set_data(G_OBJECT(banner), "hearth-label", label);
    g_object_set_data(G_OBJECT(banner), "hearth-button", button);
    if (clicked) g_signal_connect(button, "clicked", G_CALLBACK(on_banner_clicked), banner);
    /* Hidden, it must not be found by the Tab key or a screen reader either. */
    g_object_bind_property(banner, "child-revealed", box, "visible", G_BINDING_DEFAULT);
    gtk_widget_set_visible(box, false);
    return banner;
}

void hearth_compat_banner_show(GtkWidget *banner, const char *title, const char *button)
{
    GtkWidget *widget = g_object_get_data(G_OBJECT(banner), "hearth-button");
    gtk_label_set_label(g_object_get_data(G_OBJECT(banner), "hearth-label"), title);
    gtk_widget_set_visible(widget, button != NULL);
    if (button) gtk_button_set_label(GTK_BUTTON(widget), button);
    gtk_widget_set_visible(gtk_revealer_get_child(GTK_REVEALER(banner)), true);
    gtk_revealer_set_reveal_child(GTK_REVEALER(banner), true);
}

void hearth_compat_banner_hide(GtkWidget *banner)
{
    gtk_revealer_set_reveal_child(GTK_REVEALER(banner), false);
}

#endif

/* ---- preferences ----------------------------------------------------------------------------- */

#if ADW_CHECK_VERSION(1, 5, 0)

/* libadwaita 1.7 keeps what a closed dialog had in it for ever, with all that its rows hold. */
static void let_go(AdwDialog *dialog) { adw_dialog_set_child(dialog, NULL); }

GtkWidget *hearth_compat_preferences_new(void)
{
    AdwDialog *dialog = g_object_new(ADW_TYPE_PREFERENCES_DIALOG, "search-enabled", true, NULL);
    g_signal_connect(dialog, "closed", G_CALLBACK(let_go), NULL);
    return GTK_WIDGET(dialog);
}

void hearth_compat_preferences_add(GtkWidget *preferences, AdwPreferencesPage *page)
{
    adw_preferences_dialog_add(ADW_PREFERENCES_DIALOG(preferences), page);
}

void hearth_compat_preferences_add_toast(GtkWidget *preferences, AdwToast *toast)
{
    adw_preferences_dialog_add_toast(ADW_PREFERENCES_DIALOG(preferences), toast);
}

void hearth_compat_preferences_present(GtkWidget *preferences, GtkWindow *parent)
{
    adw_dialog_present(ADW_DIALOG(preferences), GTK_WIDGET(parent));
}

#else

/* Wide enough for four pages in a row: libadwaita 1.2 warns at the end of a window whose page was
 * chosen in the narrow switcher. */
GtkWidget *hearth_compat_preferences_new(void)
{
    return g_object_new(ADW_TYPE_PREFERENCES_WINDOW, "search-enabled", true, "modal", true,
                        "default-width", 740, "default-height", 560, NULL);
}

static void collect_groups(GtkWidget *widget, GPtrArray *groups)
{
    if (ADW_IS_PREFERENCES_GROUP(widget)) {
        g_ptr_array_add(groups, g_object_ref(widget));
        return;
    }
    for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
         child = gtk_widget_get_next_sibling(child))
        collect_groups(child, groups);
}

static void let_go(gpointer groups)
{
    GPtrArray *all = groups;
    for (guint i = 0; i < all->len; i++) g_object_run_dispose(all->pdata[i]);
    g_ptr_array_unref(all);
}

/* libadwaita 1.2 keeps the groups of a preferences window for ever, with all that their rows hold:
 * they are disposed of when the window is gone. */
void hearth_compat_preferences_add(GtkWidget *preferences, AdwPreferencesPage *page)
{
    GPtrArray *groups = g_object_get_data(G_OBJECT(preferences), "hearth-groups");
    if (!groups) {
        groups = g_ptr_array_new_with_free_func(g_object_unref);
        g_object_set_data_full(G_OBJECT(preferences), "hearth-groups", groups, let_go);
    }
    collect_groups(GTK_WIDGET(page), groups);
    adw_preferences_window_add(ADW_PREFERENCES_WINDOW(preferences), page);
}

void hearth_compat_preferences_add_toast(GtkWidget *preferences, AdwToast *toast)
{
    adw_preferences_window_add_toast(ADW_PREFERENCES_WINDOW(preferences), toast);
}

void hearth_compat_preferences_present(GtkWidget *preferences, GtkWindow *parent)
{
    gtk_window_set_transient_for(GTK_WINDOW(preferences), parent);
    gtk_window_set_destroy_with_parent(GTK_WINDOW(preferences), true);
    gtk_window_present(GTK_WINDOW(preferences));
}

#endif

/* ---- colour ---------------------------------------------------------------------------------- */

GdkRGBA hearth_compat_get_color(GtkWidget *widget)
{
    GdkRGBA color;
#if GTK_CHECK_VERSION(4, 10, 0)
    gtk_widget_get_color(widget, &color);
#else
    gtk_style_context_get_color(gtk_widget_get_style_context(widget), &color);
#endif
    return color;
}
