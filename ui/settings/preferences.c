#include "settings/preferences.h"

#include <glib/gi18n-lib.h>

#include "compat.h"
#include "settings/chat_groups.h"
#include "settings/machine/gpu_group.h"
#include "settings/personas_page.h"
#include "settings/prompt_row.h"
#include "settings/setting_row.h"
#include "settings/machine/threads_group.h"

static const HearthRowChoice color_schemes[] = {
    {"system", N_("Follow System")}, {"light", N_("Light")}, {"dark", N_("Dark")}, {NULL, NULL}};

static const HearthRowSpec appearance[] = {
    {"color-scheme", HEARTH_ROW_CHOICE, N_("Style"), NULL, .choices = color_schemes},
    {"gauges-visible", HEARTH_ROW_SWITCH, N_("Gauges"),
     N_("Memory, context and speed, always in sight")},
    {NULL},
};

static const HearthRowSpec answers[] = {
    {"show-statistics", HEARTH_ROW_SWITCH, N_("Statistics"),
     N_("Speed, tokens and waiting time under each answer")},
    {"wrap-code", HEARTH_ROW_SWITCH, N_("Wrap Code"),
     N_("Breaks long lines of code instead of scrolling sideways")},
    {"notify", HEARTH_ROW_SWITCH, N_("Notify"),
     N_("When an answer is done while the window is not in front")},
    {NULL},
};

static const HearthRowSpec start[] = {
    {"load-last-model", HEARTH_ROW_SWITCH, N_("Load the Last Model"),
     N_("At the start, instead of the built-in one")},
    {NULL},
};

static GtkWidget *new_group(const char *title, const HearthRowSpec *rows, GSettings *settings)
{
    GtkWidget *group = adw_preferences_group_new();
    adw_preferences_group_set_title(ADW_PREFERENCES_GROUP(group), title);
    for (const HearthRowSpec *row = rows; row->key; row++)
        adw_preferences_group_add(ADW_PREFERENCES_GROUP(group),
                                  hearth_setting_row_new(row, settings, NULL));
    return group;
}

static AdwPreferencesPage *new_page(const char *name, const char *title, const char *icon)
{
    return g_object_new(ADW_TYPE_PREFERENCES_PAGE, "name", name, "title", title, "icon-name", icon,
                        NULL);
}

static void add_group(AdwPreferencesPage *page, GtkWidget *group)
{
    adw_preferences_page_add(page, ADW_PREFERENCES_GROUP(group));
}

static AdwPreferencesPage *new_general_page(HearthApp *app)
{
    AdwPreferencesPage *page = new_page("general", _("General"), "preferences-system-symbolic");
    GSettings *settings = hearth_app_get_settings(app);
    add_group(page, new_group(_("Appearance"), appearance, settings));
    add_group(page, new_group(_("Answers"), answers, settings));
    return page;
}

static AdwPreferencesPage *new_chat_page(HearthApp *app)
{
    AdwPreferencesPage *page = new_page("chat", _("Chat"), "chat-message-new-symbolic");
    GSettings *settings = hearth_app_get_chat_settings(app);
    GtkWidget *prompt = adw_preferences_group_new();
    adw_preferences_group_set_description(
        ADW_PREFERENCES_GROUP(prompt),
        _("These hold for every conversation that has no options of its own."));
    adw_preferences_group_add(
        ADW_PREFERENCES_GROUP(prompt),
        hearth_prompt_row_new(_("System Prompt"), settings, NULL, "system-prompt"));
    add_group(page, prompt);
    add_group(page, hearth_chat_groups_new(app, HEARTH_GROUP_ANSWERS, settings, NULL));
    add_group(page, hearth_chat_groups_new(app, HEARTH_GROUP_SAMPLING, settings, NULL));
    add_group(page, hearth_chat_groups_new(app, HEARTH_GROUP_REPETITION, settings, NULL));
    return page;
}

static AdwPreferencesPage *new_model_page(HearthApp *app)
{
    AdwPreferencesPage *page = new_page("model", _("Model"), "applications-system-symbolic");
    add_group(page, hearth_chat_groups_new(app, HEARTH_GROUP_MEMORY,
                                           hearth_app_get_chat_settings(app), NULL));
    add_group(page, hearth_gpu_group_new(app));
    add_group(page, hearth_threads_group_new(app));
    add_group(page, new_group(_("Start"), start, hearth_app_get_settings(app)));
    return page;
}

GtkWidget *hearth_preferences_new(HearthApp *app)
{
    GtkWidget *preferences = hearth_compat_preferences_new();
    hearth_compat_preferences_add(preferences, new_general_page(app));
    hearth_compat_preferences_add(preferences, new_chat_page(app));
    hearth_compat_preferences_add(preferences, new_model_page(app));
    hearth_compat_preferences_add(preferences, hearth_personas_page_new(app, preferences));
    return preferences;
}
