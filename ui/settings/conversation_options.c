#include "settings/conversation_options.h"

#include <glib/gi18n-lib.h>

#include "settings/chat_groups.h"
#include "settings/prompt_row.h"
#include "settings/setting_row.h"

struct _HearthConversationOptions {
    AdwWindow parent;
    HearthApp *app;
    HearthConversation *conversation;
    GtkWidget *title, *persona, *prompt;
    GtkStringList *names; /* "None", then the personas */
    GArray *ids;          /* gint64, in the same order */
    bool showing;
};

G_DEFINE_FINAL_TYPE(HearthConversationOptions, hearth_conversation_options, ADW_TYPE_WINDOW)

/* ---- the persona ----------------------------------------------------------------------------- */

static void show_persona(HearthConversationOptions *options)
{
    GListModel *personas = hearth_history_get_personas(hearth_app_get_history(options->app));
    gint64 id = hearth_conversation_get_persona(options->conversation);
    guint selected = 0;
    for (guint i = 1; i < options->ids->len; i++)
        if (g_array_index(options->ids, gint64, i) == id) selected = i;
    options->showing = true;
    gtk_drop_down_set_selected(GTK_DROP_DOWN(options->persona), selected);
    options->showing = false;
    g_autoptr(HearthPersona) persona =
        selected ? g_list_model_get_item(personas, selected - 1) : NULL;
    hearth_prompt_row_set_fallback(HEARTH_PROMPT_ROW(options->prompt),
                                   persona ? hearth_persona_get_prompt(persona) : NULL,
                                   persona ? hearth_persona_get_name(persona) : NULL);
}

static void fill_personas(HearthConversationOptions *options)
{
    GListModel *personas = hearth_history_get_personas(hearth_app_get_history(options->app));
    guint n = g_list_model_get_n_items(personas);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    gint64 none = 0;
    g_ptr_array_add(names, (char *)C_("persona", "None"));
    g_array_set_size(options->ids, 0);
    g_array_append_val(options->ids, none);
    for (guint i = 0; i < n; i++) {
        g_autoptr(HearthPersona) persona = g_list_model_get_item(personas, i);
        gint64 id = hearth_persona_get_id(persona);
        g_ptr_array_add(names, (char *)hearth_persona_get_name(persona));
        g_array_append_val(options->ids, id);
    }
    g_ptr_array_add(names, NULL);
    options->showing = true;
    gtk_string_list_splice(options->names, 0,
                           g_list_model_get_n_items(G_LIST_MODEL(options->names)),
                           (const char *const *)names->pdata);
    options->showing = false;
    show_persona(options);
}

static void on_selected(HearthConversationOptions *options)
{
    guint i = gtk_drop_down_get_selected(GTK_DROP_DOWN(options->persona));
    if (options->showing || i >= options->ids->len) return;
    hearth_conversation_set_persona(options->conversation, g_array_index(options->ids, gint64, i));
}

static void show_title(HearthConversationOptions *options)
{
    const char *title = hearth_conversation_get_title(options->conversation);
    adw_window_title_set_subtitle(ADW_WINDOW_TITLE(options->title),
                                  *title ? title : _("New Conversation"));
}

/* ---- building -------------------------------------------------------------------------------- */

static GtkWidget *new_persona_group(HearthConversationOptions *options, GSettings *own)
{
    GtkWidget *group = adw_preferences_group_new(), *row = adw_action_row_new();
    options->names = gtk_string_list_new(NULL);
    options->persona = gtk_drop_down_new(G_LIST_MODEL(g_object_ref(options->names)), NULL);
    gtk_widget_set_valign(options->persona, GTK_ALIGN_CENTER);
    hearth_setting_row_name_drop_down(options->persona, _("Persona"));
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), _("Persona"));
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), _("Whose system prompt is used"));
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), options->persona);
    adw_action_row_set_activatable_widget(ADW_ACTION_ROW(row), options->persona);
    options->prompt = hearth_prompt_row_new(
        _("System Prompt"), own, hearth_app_get_chat_settings(options->app), "system-prompt");
    adw_preferences_group_set_description(
        ADW_PREFERENCES_GROUP(group),
        _("What is not changed here follows the preferences. Changes count from the next answer."));
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), row);
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), options->prompt);
    return group;
}

static void build(HearthConversationOptions *options)
{
    static const HearthChatGroup groups[] = {HEARTH_GROUP_ANSWERS, HEARTH_GROUP_MEMORY,
                                             HEARTH_GROUP_SAMPLING, HEARTH_GROUP_REPETITION};
    GSettings *own = hearth_conversation_get_settings(options->conversation);
    GSettings *defaults = hearth_app_get_chat_settings(options->app);
    GtkWidget *content = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    GtkWidget *header = adw_header_bar_new(), *page = adw_preferences_page_new();
    options->title = adw_window_title_new(_("Conversation Options"), NULL);
    adw_header_bar_set_title_widget(ADW_HEADER_BAR(header), options->title);
    adw_preferences_page_add(ADW_PREFERENCES_PAGE(page),
                             ADW_PREFERENCES_GROUP(new_persona_group(options, own)));
    for (size_t i = 0; i < G_N_ELEMENTS(groups); i++)
        adw_preferences_page_add(
            ADW_PREFERENCES_PAGE(page),
            ADW_PREFERENCES_GROUP(hearth_chat_groups_new(options->app, groups[i], own, defaults)));
    gtk_widget_set_vexpand(page, TRUE);
    gtk_box_append(GTK_BOX(content), header);
    gtk_box_append(GTK_BOX(content), page);
    adw_window_set_content(ADW_WINDOW(options), content);
}

/* GObject */

static void hearth_conversation_options_dispose(GObject *object)
{
    HearthConversationOptions *options = HEARTH_CONVERSATION_OPTIONS(object);
    g_clear_object(&options->app);
    g_clear_object(&options->conversation);
    g_clear_object(&options->names);
    G_OBJECT_CLASS(hearth_conversation_options_parent_class)->dispose(object);
}

static void hearth_conversation_options_finalize(GObject *object)
{
    g_array_unref(HEARTH_CONVERSATION_OPTIONS(object)->ids);
    G_OBJECT_CLASS(hearth_conversation_options_parent_class)->finalize(object);
}

static void hearth_conversation_options_class_init(HearthConversationOptionsClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_conversation_options_dispose;
    G_OBJECT_CLASS(class)->finalize = hearth_conversation_options_finalize;
    gtk_widget_class_add_binding_action(widget, GDK_KEY_Escape, 0, "window.close", NULL);
    gtk_widget_class_add_binding_action(widget, GDK_KEY_w, GDK_CONTROL_MASK, "window.close", NULL);
}

static void hearth_conversation_options_init(HearthConversationOptions *options)
{
    options->ids = g_array_new(FALSE, FALSE, sizeof(gint64));
    gtk_window_set_title(GTK_WINDOW(options), _("Conversation Options"));
    gtk_window_set_default_size(GTK_WINDOW(options), 600, 560);
    gtk_widget_set_size_request(GTK_WIDGET(options), 320, 280);
    gtk_window_set_modal(GTK_WINDOW(options), TRUE);
}

GtkWidget *hearth_conversation_options_new(HearthApp *app, HearthConversation *conversation)
{
    HearthConversationOptions *options = g_object_new(HEARTH_TYPE_CONVERSATION_OPTIONS, NULL);
    options->app = g_object_ref(app);
    options->conversation = g_object_ref(conversation);
    build(options);
    GListModel *personas = hearth_history_get_personas(hearth_app_get_history(app));
    g_signal_connect_object(personas, "items-changed", G_CALLBACK(fill_personas), options,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(conversation, "notify::persona", G_CALLBACK(show_persona), options,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(conversation, "notify::title", G_CALLBACK(show_title), options,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(options->persona, "notify::selected", G_CALLBACK(on_selected), options,
                            G_CONNECT_SWAPPED);
    show_title(options);
    fill_personas(options);
    return GTK_WIDGET(options);
}
