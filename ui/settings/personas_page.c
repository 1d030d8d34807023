#include "settings/personas_page.h"

#include <glib/gi18n-lib.h>

#include "compat.h"
#include "settings/persona_editor.h"

#define HEARTH_TYPE_PERSONAS_PAGE (hearth_personas_page_get_type())
G_DECLARE_FINAL_TYPE(HearthPersonasPage, hearth_personas_page, HEARTH, PERSONAS_PAGE,
                     AdwPreferencesPage)

#define EXCERPT 120 /* characters of a prompt in the list */

struct _HearthPersonasPage {
    AdwPreferencesPage parent;
    HearthApp *app;
    GtkWidget *preferences; /* holds this */
    GtkWidget *group, *add;
    GPtrArray *rows; /* borrowed */
};

G_DEFINE_FINAL_TYPE(HearthPersonasPage, hearth_personas_page, ADW_TYPE_PREFERENCES_PAGE)

static GtkWindow *window_of(HearthPersonasPage *page)
{
    GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(page));
    return root ? GTK_WINDOW(root) : NULL;
}

static void on_add(HearthPersonasPage *page)
{
    hearth_persona_editor_present(hearth_app_get_history(page->app), NULL, window_of(page));
}

static void on_edit(GtkWidget *row, HearthPersonasPage *page)
{
    hearth_persona_editor_present(hearth_app_get_history(page->app),
                                  g_object_get_data(G_OBJECT(row), "hearth-persona"),
                                  window_of(page));
}

/* ---- deleting -------------------------------------------------------------------------------- */

typedef struct {
    HearthHistory *history;
    HearthPersona *persona;
} Deleted;

static void deleted_free(gpointer data, GClosure *closure)
{
    Deleted *deleted = data;
    (void)closure;
    g_object_unref(deleted->history);
    g_object_unref(deleted->persona);
    g_free(deleted);
}

static void on_undo(AdwToast *toast, gpointer data)
{
    Deleted *deleted = data;
    (void)toast;
    hearth_history_restore_persona(deleted->history, deleted->persona);
}

static void on_delete(GtkWidget *button, HearthPersonasPage *page)
{
    HearthHistory *history = hearth_app_get_history(page->app);
    HearthPersona *persona = g_object_get_data(G_OBJECT(button), "hearth-persona");
    Deleted *deleted = g_new(Deleted, 1);
    *deleted = (Deleted){g_object_ref(history), g_object_ref(persona)};
    g_autofree char *name = g_markup_escape_text(hearth_persona_get_name(persona), -1);
    g_autofree char *text = g_strdup_printf(_("“%s” deleted"), name);
    AdwToast *toast = adw_toast_new(text);
    adw_toast_set_button_label(toast, _("Undo"));
    g_signal_connect_data(toast, "button-clicked", G_CALLBACK(on_undo), deleted, deleted_free, 0);
    hearth_history_delete_persona(history, deleted->persona); /* takes the row and button away */
    hearth_compat_preferences_add_toast(page->preferences, toast);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* The prompt's beginning, on one line. */
static gboolean to_excerpt(GBinding *binding, const GValue *from, GValue *to, gpointer data)
{
    (void)binding, (void)data;
    const char *prompt = g_value_get_string(from);
    g_autofree char *line = g_strdelimit(g_strdup(prompt ? prompt : ""), "\r\n\t", ' ');
    bool cut = g_utf8_strlen(line, -1) > EXCERPT;
    g_autofree char *begin = g_utf8_substring(line, 0, cut ? EXCERPT : g_utf8_strlen(line, -1));
    g_value_take_string(to, g_strconcat(begin, cut ? "…" : NULL, NULL));
    return TRUE;
}

static GtkWidget *new_row(HearthPersonasPage *page, HearthPersona *persona)
{
    GtkWidget *row = adw_action_row_new(), *button = NULL;
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    g_object_bind_property(persona, "name", row, "title", G_BINDING_SYNC_CREATE);
    g_object_bind_property_full(persona, "prompt", row, "subtitle", G_BINDING_SYNC_CREATE,
                                to_excerpt, NULL, NULL, NULL);
    button = gtk_button_new_from_icon_name("user-trash-symbolic");
    gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_set_tooltip_text(button, _("Delete"));
    g_autofree char *name = g_strdup_printf(_("Delete %s"), hearth_persona_get_name(persona));
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    g_object_set_data_full(G_OBJECT(button), "hearth-persona", g_object_ref(persona),
                           g_object_unref);
    g_object_set_data_full(G_OBJECT(row), "hearth-persona", g_object_ref(persona), g_object_unref);
    g_signal_connect_object(button, "clicked", G_CALLBACK(on_delete), page, 0);
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), button);
    GtkWidget *next = gtk_image_new_from_icon_name("go-next-symbolic");
    gtk_widget_add_css_class(next, "dim-label");
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), next);
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), TRUE);
    g_signal_connect_object(row, "activated", G_CALLBACK(on_edit), page, 0);
    return row;
}

static GtkWidget *new_empty_row(void)
{
    GtkWidget *row = adw_action_row_new();
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), _("No personas yet"));
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row),
                                _("Add one, then choose it in a conversation’s options"));
    gtk_widget_set_focusable(row, FALSE);
    return row;
}

static void add_row(HearthPersonasPage *page, GtkWidget *row)
{
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(page->group), row);
    g_ptr_array_add(page->rows, row);
}

static void fill(HearthPersonasPage *page)
{
    GListModel *personas = hearth_history_get_personas(hearth_app_get_history(page->app));
    guint n = g_list_model_get_n_items(personas);
    for (guint i = 0; i < page->rows->len; i++)
        adw_preferences_group_remove(ADW_PREFERENCES_GROUP(page->group), page->rows->pdata[i]);
    g_ptr_array_set_size(page->rows, 0);
    for (guint i = 0; i < n; i++) {
        g_autoptr(HearthPersona) persona = g_list_model_get_item(personas, i);
        add_row(page, new_row(page, persona));
    }
    if (n == 0) add_row(page, new_empty_row());
}

/* GObject */

static void hearth_personas_page_dispose(GObject *object)
{
    HearthPersonasPage *page = HEARTH_PERSONAS_PAGE(object);
    g_clear_object(&page->app);
    g_clear_pointer(&page->rows, g_ptr_array_unref);
    G_OBJECT_CLASS(hearth_personas_page_parent_class)->dispose(object);
}

static void hearth_personas_page_class_init(HearthPersonasPageClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_personas_page_dispose;
}

static void hearth_personas_page_init(HearthPersonasPage *page)
{
    page->rows = g_ptr_array_new();
    page->group = adw_preferences_group_new();
    page->add = gtk_button_new();
    GtkWidget *content = adw_button_content_new();
    adw_button_content_set_icon_name(ADW_BUTTON_CONTENT(content), "list-add-symbolic");
    adw_button_content_set_label(ADW_BUTTON_CONTENT(content), _("_Add"));
    adw_button_content_set_use_underline(ADW_BUTTON_CONTENT(content), TRUE);
    gtk_button_set_child(GTK_BUTTON(page->add), content);
    gtk_widget_add_css_class(page->add, "flat");
    gtk_widget_set_valign(page->add, GTK_ALIGN_CENTER);
    AdwPreferencesGroup *group = ADW_PREFERENCES_GROUP(page->group);
    adw_preferences_group_set_title(group, _("Personas"));
    adw_preferences_group_set_description(group,
                                          _("System prompts with a name, to choose from in a "
                                            "conversation’s options"));
    adw_preferences_group_set_header_suffix(group, page->add);
    adw_preferences_page_add(ADW_PREFERENCES_PAGE(page), group);
    g_signal_connect_object(page->add, "clicked", G_CALLBACK(on_add), page, G_CONNECT_SWAPPED);
}

AdwPreferencesPage *hearth_personas_page_new(HearthApp *app, GtkWidget *preferences)
{
    HearthPersonasPage *page =
        g_object_new(HEARTH_TYPE_PERSONAS_PAGE, "name", "personas", "title", _("Personas"),
                     "icon-name", "avatar-default-symbolic", NULL);
    page->app = g_object_ref(app);
    page->preferences = preferences;
    GListModel *personas = hearth_history_get_personas(hearth_app_get_history(app));
    g_signal_connect_object(personas, "items-changed", G_CALLBACK(fill), page, G_CONNECT_SWAPPED);
    fill(page);
    return ADW_PREFERENCES_PAGE(page);
}
