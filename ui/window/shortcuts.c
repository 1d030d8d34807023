#include "shortcuts.h"

#include <glib/gi18n-lib.h>

/* How a key gets to its action. */
typedef enum {
    EVERYWHERE, /* before any widget sees it */
    LEFT_OVER,  /* when no widget took it */
    ELSEWHERE   /* a widget handles it by itself: listed only */
} Way;

typedef struct {
    const char *title; /* untranslated; NULL: another key of the line above */
    const char *action;
    const char *key;
    Way way;
} Shortcut;

typedef struct {
    const char *title;
    const Shortcut *shortcuts;
} Group;

static const Shortcut general[] = {
    {N_("New Conversation"), "win.new-conversation", "<Control>n", EVERYWHERE},
    {N_("Search Conversations"), "win.search", "<Control>f", EVERYWHERE},
    {N_("Open Model"), "win.open-model", "<Control>o", EVERYWHERE},
    {N_("Preferences"), "win.preferences", "<Control>comma", EVERYWHERE},
    {N_("Keyboard Shortcuts"), "win.shortcuts", "<Control>question", EVERYWHERE},
    {N_("Main Menu"), "win.main-menu", "F10", EVERYWHERE},
    {N_("Show Sidebar"), "win.sidebar", "F9", EVERYWHERE},
    {N_("Resize Sidebar"), "win.resize-sidebar", "F8", EVERYWHERE},
    {N_("Close Window"), "window.close", "<Control>w", EVERYWHERE},
    {N_("Quit"), "app.quit", "<Control>q", EVERYWHERE},
    {NULL, NULL, NULL, 0}};

static const Shortcut conversations[] = {
    {N_("Previous Conversation"), "win.previous-conversation", "<Control>Page_Up", EVERYWHERE},
    {NULL, "win.previous-conversation", "<Alt>Up", LEFT_OVER},
    {N_("Next Conversation"), "win.next-conversation", "<Control>Page_Down", EVERYWHERE},
    {NULL, "win.next-conversation", "<Alt>Down", LEFT_OVER},
    {N_("Rename Conversation"), "win.rename", "F2", EVERYWHERE},
    {N_("Export Conversation"), "win.export", "<Control><Shift>s", EVERYWHERE},
    {N_("Delete Conversation in the List"), NULL, "Delete", ELSEWHERE},
    {N_("Menu of a Conversation"), NULL, "Menu", ELSEWHERE},
    {NULL, NULL, NULL, 0}};

static const Shortcut message[] = {{N_("Send"), NULL, "Return", ELSEWHERE},
                                   {N_("Line Break"), NULL, "<Shift>Return", ELSEWHERE},
                                   {N_("Copy Last Answer"), NULL, "<Control><Shift>c", ELSEWHERE},
                                   {N_("Stop the Answer"), "win.stop", "Escape", LEFT_OVER},
                                   {NULL, NULL, NULL, 0}};

static const Group groups[] = {
    {N_("General"), general}, {N_("Conversations"), conversations}, {N_("Message"), message}};

/* The accelerators of an application are heard in the windows that are its own: each dialog becomes
 * one. All of them go with their parent, so that none keeps the program running. */
static void on_windows_changed(GListModel *windows, guint at, guint n_removed, guint n_added,
                               gpointer data)
{
    (void)n_removed;
    for (guint i = 0; i < n_added; i++) {
        g_autoptr(GtkWindow) window = g_list_model_get_item(windows, at + i);
        if (!gtk_window_get_application(window)) gtk_window_set_application(window, data);
    }
}

void hearth_shortcuts_install(GtkApplication *application)
{
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++)
        for (const Shortcut *s = groups[i].shortcuts; s->key; s++)
            if (s->way == EVERYWHERE)
                gtk_application_set_accels_for_action(application, s->action,
                                                      (const char *[]){s->key, NULL});
    g_signal_connect_object(gtk_window_get_toplevels(), "items-changed",
                            G_CALLBACK(on_windows_changed), application, 0);
}

GtkEventController *hearth_shortcuts_new_controller(void)
{
    GtkEventController *controller = gtk_shortcut_controller_new();
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++)
        for (const Shortcut *s = groups[i].shortcuts; s->key; s++)
            if (s->way == LEFT_OVER)
                gtk_shortcut_controller_add_shortcut(
                    GTK_SHORTCUT_CONTROLLER(controller),
                    gtk_shortcut_new(gtk_shortcut_trigger_parse_string(s->key),
                                     gtk_named_action_new(s->action)));
    gtk_event_controller_set_propagation_phase(controller, GTK_PHASE_BUBBLE);
    return controller;
}

/* ---- the page -------------------------------------------------------------------------------- */

/* "Ctrl+Page Up" as one key cap per key. */
static GtkWidget *keys_new(const char *accelerator)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    guint key;
    GdkModifierType state;
    gtk_accelerator_parse(accelerator, &key, &state);
    g_autofree char *label = gtk_accelerator_get_label(key, state);
    g_auto(GStrv) caps = g_strsplit(label, "+", -1);
    for (char **cap = caps; *cap; cap++) {
        GtkWidget *one = gtk_label_new(**cap ? *cap : "+");
        gtk_widget_add_css_class(one, "keycap");
        gtk_box_append(GTK_BOX(box), one);
    }
    gtk_widget_set_valign(box, GTK_ALIGN_CENTER);
    return box;
}

static GtkWidget *row_new(const Shortcut *shortcut)
{
    GtkWidget *row = adw_action_row_new();
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), _(shortcut->title));
    for (const Shortcut *s = shortcut; s == shortcut || (s->key && !s->title); s++)
        adw_action_row_add_suffix(ADW_ACTION_ROW(row), keys_new(s->key));
    return row;
}

static AdwPreferencesPage *page_new(void)
{
    AdwPreferencesPage *page = ADW_PREFERENCES_PAGE(adw_preferences_page_new());
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
        AdwPreferencesGroup *group = ADW_PREFERENCES_GROUP(adw_preferences_group_new());
        adw_preferences_group_set_title(group, _(groups[i].title));
        for (const Shortcut *s = groups[i].shortcuts; s->key; s++)
            if (s->title) adw_preferences_group_add(group, row_new(s));
        adw_preferences_page_add(page, group);
    }
    return page;
}

static gboolean close_window(GtkWidget *window, GVariant *unused, gpointer data)
{
    (void)unused;
    (void)data;
    gtk_window_close(GTK_WINDOW(window));
    return true;
}

void hearth_shortcuts_show(GtkWindow *parent)
{
    GtkWidget *window = adw_window_new();
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    GtkWidget *page = GTK_WIDGET(page_new());
    GtkEventController *keys = gtk_shortcut_controller_new();
    gtk_box_append(GTK_BOX(box), adw_header_bar_new());
    gtk_widget_set_vexpand(page, true);
    gtk_box_append(GTK_BOX(box), page);
    gtk_shortcut_controller_add_shortcut(
        GTK_SHORTCUT_CONTROLLER(keys),
        gtk_shortcut_new(gtk_keyval_trigger_new(GDK_KEY_Escape, 0),
                         gtk_callback_action_new(close_window, NULL, NULL)));
    gtk_widget_add_controller(window, keys);
    gtk_window_set_title(GTK_WINDOW(window), _("Keyboard Shortcuts"));
    gtk_window_set_default_size(GTK_WINDOW(window), 520, 560);
    gtk_window_set_transient_for(GTK_WINDOW(window), parent);
    gtk_window_set_modal(GTK_WINDOW(window), true);
    gtk_window_set_destroy_with_parent(GTK_WINDOW(window), true);
    adw_window_set_content(ADW_WINDOW(window), box);
    gtk_window_present(GTK_WINDOW(window));
}
