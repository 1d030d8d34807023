/* Preferences and conversation options, over real settings, history and Ember. */
#include "test.h"
#include "world.h"

#include "compat.h"
#include "settings.h"
#include "settings/context_cost.h"
#include "settings/conversation_options.h"
#include "settings/preferences.h"
#include "settings/machine/reload_row.h"
#include "settings/machine/threads_group.h"

#define GIB ((uint64_t)1 << 30)

static void press(GtkWidget *button)
{
    CHECK(button);
    if (button) g_signal_emit_by_name(button, "clicked");
}

static GtkWidget *reset_of(GtkWidget *widget, const char *title)
{
    return world_find(world_row(widget, title), GTK_TYPE_BUTTON, has_icon, "edit-undo-symbolic");
}

static GtkWidget *spin_of(GtkWidget *widget, const char *title)
{
    return world_in_row(widget, title, GTK_TYPE_SPIN_BUTTON);
}

static GtkTextBuffer *prompt_of(GtkWidget *widget)
{
    GtkWidget *view = world_in_row(widget, "System Prompt", GTK_TYPE_TEXT_VIEW);
    return gtk_text_view_get_buffer(GTK_TEXT_VIEW(view));
}

static char *text_of(GtkTextBuffer *buffer)
{
    GtkTextIter begin, end;
    gtk_text_buffer_get_bounds(buffer, &begin, &end);
    return gtk_text_buffer_get_text(buffer, &begin, &end, FALSE);
}

static bool subtitle_has(GtkWidget *widget, const char *title, const char *text)
{
    GtkWidget *row = world_row(widget, title);
    const char *subtitle = row ? adw_action_row_get_subtitle(ADW_ACTION_ROW(row)) : NULL;
    return subtitle && strstr(subtitle, text);
}

/* ---- the program's settings ------------------------------------------------------------------ */

static void numbers_apply(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    GtkWidget *spin = spin_of(prefs, "Top K"), *reset = reset_of(prefs, "Top K");
    CHECK(gtk_spin_button_get_value(GTK_SPIN_BUTTON(spin)) == 40);
    CHECK(!gtk_widget_get_visible(reset));
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin), 7);
    CHECK_INT(g_settings_get_int(w->chat, "top-k"), 7);
    CHECK(gtk_widget_get_visible(reset));
    g_settings_set_int(w->chat, "top-k", 11); /* from elsewhere */
    CHECK(gtk_spin_button_get_value(GTK_SPIN_BUTTON(spin)) == 11);
    press(reset);
    CHECK_INT(g_settings_get_int(w->chat, "top-k"), 40);
    CHECK(!gtk_widget_get_visible(reset));

    /* The neutral value has a name; typing the name or the number means it. */
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin), 0);
    CHECK_STR(gtk_editable_get_text(GTK_EDITABLE(spin)), "Off");
    gtk_editable_set_text(GTK_EDITABLE(spin), "30");
    gtk_spin_button_update(GTK_SPIN_BUTTON(spin));
    CHECK_INT(g_settings_get_int(w->chat, "top-k"), 30);
    gtk_editable_set_text(GTK_EDITABLE(spin), "off");
    gtk_spin_button_update(GTK_SPIN_BUTTON(spin));
    CHECK_INT(g_settings_get_int(w->chat, "top-k"), 0);

    GtkWidget *seed = spin_of(prefs, "Seed");
    CHECK_STR(gtk_editable_get_text(GTK_EDITABLE(seed)), "Random");
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(seed), 9007199254740991.0);
    CHECK(g_settings_get_int64(w->chat, "seed") == 9007199254740991);

    GtkWidget *scale = world_in_row(prefs, "Temperature", GTK_TYPE_SCALE);
    GtkAdjustment *adjustment = gtk_range_get_adjustment(GTK_RANGE(scale));
    gtk_adjustment_set_value(adjustment, 0.1 + 0.2);
    CHECK(g_settings_get_double(w->chat, "temperature") == 0.3);
    g_settings_set_double(w->chat, "temperature", 4); /* beyond the slider's usual end */
    CHECK(gtk_adjustment_get_value(adjustment) == 4);
    CHECK(g_settings_get_double(w->chat, "temperature") == 4);
    gtk_window_destroy(window);
    world_free(w);
}

static void choices_apply(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    GtkWidget *style = world_in_row(prefs, "Style", GTK_TYPE_DROP_DOWN);
    gtk_drop_down_set_selected(GTK_DROP_DOWN(style), 2);
    g_autofree char *scheme = g_settings_get_string(w->settings, "color-scheme");
    CHECK_STR(scheme, "dark");
    g_settings_set_string(w->settings, "color-scheme", "light");
    CHECK_INT(gtk_drop_down_get_selected(GTK_DROP_DOWN(style)), 1);
    static const struct {
        const char *title, *key;
    } switches[] = {{"Statistics", "show-statistics"},
                    {"Wrap Code", "wrap-code"},
                    {"Notify", "notify"},
                    {"Gauges", "gauges-visible"},
                    {"Load the Last Model", "load-last-model"}};
    for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
        GtkWidget *one = world_in_row(prefs, switches[i].title, GTK_TYPE_SWITCH);
        bool before = g_settings_get_boolean(w->settings, switches[i].key);
        CHECK_INT(gtk_switch_get_active(GTK_SWITCH(one)), before);
        gtk_switch_set_active(GTK_SWITCH(one), !before);
        CHECK_INT(g_settings_get_boolean(w->settings, switches[i].key), !before);
    }
    gtk_text_buffer_set_text(prompt_of(prefs), "Be brief.\nVery.", -1);
    g_autofree char *prompt = g_settings_get_string(w->chat, "system-prompt");
    CHECK_STR(prompt, "Be brief.\nVery.");
    press(reset_of(prefs, "System Prompt"));
    g_autofree char *shown = text_of(prompt_of(prefs));
    CHECK_STR(shown, "");
    gtk_window_destroy(window);
    world_free(w);
}

static void groups_reset(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    GtkWidget *reset = world_find(prefs, GTK_TYPE_BUTTON, has_label, "Reset to Defaults");
    CHECK(reset && !gtk_widget_get_sensitive(reset));
    g_settings_set_double(w->chat, "top-p", 0.5);
    g_settings_set_double(w->chat, "repeat-penalty", 1.2); /* of another group */
    CHECK(gtk_widget_get_sensitive(reset));
    press(reset);
    CHECK(g_settings_get_double(w->chat, "top-p") == 0.95);
    CHECK(g_settings_get_double(w->chat, "repeat-penalty") == 1.2);
    CHECK(!gtk_widget_get_sensitive(reset));
    gtk_window_destroy(window);
    world_free(w);
}

static void scrolling_changes_nothing(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    GtkWidget *controls[] = {spin_of(prefs, "Top K"),
                             world_in_row(prefs, "Temperature", GTK_TYPE_SCALE)};
    for (size_t i = 0; i < G_N_ELEMENTS(controls); i++) {
        g_autoptr(GListModel) all = gtk_widget_observe_controllers(controls[i]);
        int n = 0;
        for (guint at = 0; at < g_list_model_get_n_items(all); at++) {
            g_autoptr(GtkEventController) one = g_list_model_get_item(all, at);
            if (!GTK_IS_EVENT_CONTROLLER_SCROLL(one)) continue;
            n++;
            CHECK_INT(gtk_event_controller_get_propagation_phase(one), GTK_PHASE_NONE);
        }
        CHECK(n > 0);
    }
    gtk_window_destroy(window);
    world_free(w);
}

/* ---- memory and threads ---------------------------------------------------------------------- */

static void costs(const HearthModelInfo *info, int context, const char *kv, uint64_t available,
                  bool warns, const char *title, const char *subtitle)
{
    g_autofree char *got_title = NULL, *got_subtitle = NULL;
    CHECK_INT(hearth_context_cost_text(info, context, kv, available, &got_title, &got_subtitle),
              warns);
    CHECK_STR(got_title, title);
    CHECK_MSG(strstr(got_subtitle, subtitle), "“%s” has no “%s”", got_subtitle, subtitle);
}

static void context_costs(void)
{
    HearthModelInfo info = {.context_trained = 163840,
                            .kv_bytes_per_token = {70272, 140544, 37332}};
    costs(NULL, 4096, "f16", GIB, false, "Memory Needed", "Load a model");
    costs(&info, 0, "f16", GIB, false, "Needs 274.5\u00a0MiB", "4,096 tokens, chosen");
    costs(&info, 4096, "f32", GIB, false, "Needs 549.0\u00a0MiB", "4,096 tokens per");
    costs(&info, 4096, "q8_0", GIB, false, "Needs 145.8\u00a0MiB", "4,096 tokens per");
    costs(&info, 16384, "f16", GIB, true, "Needs 1.1\u00a0GiB", "Only 1.0\u00a0GiB");
    costs(&info, 16384, "f16", 0, false, "Needs 1.1\u00a0GiB", "16,384 tokens");
    costs(&info, 200000, "f16", 64 * GIB, true, "Needs 13.1\u00a0GiB", "163,840 tokens");
    info.context_trained = 2048;
    costs(&info, 0, "f16", GIB, false, "Needs 137.2\u00a0MiB", "2,048 tokens");
}

static void context_row_follows(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    GtkWidget *cost = world_find(prefs, HEARTH_TYPE_CONTEXT_COST, NULL, NULL);
    CHECK(has_title(cost, "Memory Needed"));
    world_load(w, "");
    HearthModelInfo *info = hearth_worker_get_info(w->worker);
    CHECK(hearth_model_info_kv_bytes(info, "f16") > 0);
    g_autofree char *was = g_strdup(adw_preferences_row_get_title(ADW_PREFERENCES_ROW(cost)));
    CHECK(g_str_has_prefix(was, "Needs "));
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin_of(prefs, "Context Length")), 1024);
    g_autofree char *title = NULL, *subtitle = NULL;
    hearth_context_cost_text(info, 1024, "f16", 0, &title, &subtitle);
    CHECK(has_title(cost, title));
    CHECK(!has_title(cost, was));
    gtk_drop_down_set_selected(
        GTK_DROP_DOWN(world_in_row(prefs, "Context Precision", GTK_TYPE_DROP_DOWN)), 2);
    CHECK(!has_title(cost, title)); /* twice as much */
    gtk_window_destroy(window);
    world_free(w);
}

typedef struct {
    HearthWorker *worker;
    int threads;
} Wanted;

static bool uses_threads(void *data)
{
    Wanted *wanted = data;
    HearthModelInfo *info = hearth_worker_get_info(wanted->worker);
    return info && info->threads == wanted->threads;
}

static void threads_reload(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    g_settings_set_int(w->settings, "threads", 2);
    world_load(w, "");
    Wanted wanted = {w->worker, 2};
    CHECK(uses_threads(&wanted));
    GtkWidget *group = world_find(prefs, HEARTH_TYPE_THREADS_GROUP, NULL, NULL);
    GtkWidget *row = world_find(group, HEARTH_TYPE_RELOAD_ROW, NULL, NULL);
    CHECK(!gtk_widget_get_visible(row));
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin_of(prefs, "Threads")), 1);
    CHECK(gtk_widget_get_visible(row));
    press(world_find(row, GTK_TYPE_BUTTON, has_label, "Load Again"));
    wanted.threads = 1;
    CHECK(world_wait(uses_threads, &wanted));
    CHECK(!gtk_widget_get_visible(row));
    gtk_window_destroy(window);
    world_free(w);
}

/* ---- a conversation's own -------------------------------------------------------------------- */

static void options_follow(void)
{
    World *w = world_new();
    HearthConversation *conversation = hearth_history_new_conversation(w->history, 0);
    GSettings *own = hearth_conversation_get_settings(conversation);
    GtkWidget *options = hearth_conversation_options_new(w->app, conversation);
    GtkWindow *window = world_show(options, 600, 600);
    GtkWidget *spin = spin_of(options, "Top K"), *reset = reset_of(options, "Top K");

    CHECK(subtitle_has(options, "Top K", "Default: 40"));
    CHECK(subtitle_has(options, "Temperature", "Default: 0.60"));
    CHECK(subtitle_has(options, "Context Length", "Default: Automatic"));
    CHECK(!gtk_widget_get_visible(reset));
    g_settings_set_int(w->chat, "top-k", 20); /* untouched: it follows */
    CHECK(gtk_spin_button_get_value(GTK_SPIN_BUTTON(spin)) == 20);
    CHECK(subtitle_has(options, "Top K", "Default: 20"));
    g_autofree char *none = hearth_settings_to_json(own);
    CHECK_STR(none, ""); /* following is not touching */

    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin), 5);
    CHECK_INT(g_settings_get_int(own, "top-k"), 5);
    CHECK_INT(g_settings_get_int(w->chat, "top-k"), 20);
    CHECK(gtk_widget_get_visible(reset));
    CHECK(subtitle_has(options, "Top K", "Instead of the default: 20"));
    g_settings_set_int(w->chat, "top-k", 30); /* touched: it stays */
    CHECK(gtk_spin_button_get_value(GTK_SPIN_BUTTON(spin)) == 5);
    press(reset);
    CHECK(!gtk_widget_get_visible(reset));
    CHECK(gtk_spin_button_get_value(GTK_SPIN_BUTTON(spin)) == 30);
    g_autofree char *again = hearth_settings_to_json(own);
    CHECK_STR(again, "");
    gtk_window_destroy(window);
    world_free(w);
}

static void options_persona(void)
{
    World *w = world_new();
    HearthConversation *conversation = hearth_history_new_conversation(w->history, 0);
    GSettings *own = hearth_conversation_get_settings(conversation);
    g_settings_set_string(w->chat, "system-prompt", "You help.");
    HearthPersona *persona = hearth_history_add_persona(w->history, "Teacher", "You teach.");
    GtkWidget *options = hearth_conversation_options_new(w->app, conversation);
    GtkWindow *window = world_show(options, 600, 600);
    GtkWidget *choice = world_in_row(options, "Persona", GTK_TYPE_DROP_DOWN);
    g_autofree char *first = text_of(prompt_of(options));
    CHECK_STR(first, "You help.");

    gtk_drop_down_set_selected(GTK_DROP_DOWN(choice), 1);
    CHECK(hearth_conversation_get_persona(conversation) == hearth_persona_get_id(persona));
    g_autofree char *second = text_of(prompt_of(options));
    CHECK_STR(second, "You teach.");
    CHECK(world_find(options, GTK_TYPE_LABEL, has_text, "From the persona Teacher"));
    CHECK(!g_settings_get_user_value(own, "system-prompt"));

    gtk_text_buffer_set_text(prompt_of(options), "You rhyme.", -1);
    g_autofree char *mine = g_settings_get_string(own, "system-prompt");
    CHECK_STR(mine, "You rhyme.");
    gtk_drop_down_set_selected(GTK_DROP_DOWN(choice), 0);
    CHECK(hearth_conversation_get_persona(conversation) == 0);
    g_autofree char *third = text_of(prompt_of(options));
    CHECK_STR(third, "You rhyme.");
    press(reset_of(options, "System Prompt"));
    g_autofree char *fourth = text_of(prompt_of(options));
    CHECK_STR(fourth, "You help.");

    hearth_conversation_set_persona(conversation, hearth_persona_get_id(persona));
    CHECK_INT(gtk_drop_down_get_selected(GTK_DROP_DOWN(choice)), 1);
    hearth_history_delete_persona(w->history, persona);
    CHECK_INT(gtk_drop_down_get_selected(GTK_DROP_DOWN(choice)), 0);
    gtk_window_destroy(window);
    world_free(w);
}

/* ---- personas -------------------------------------------------------------------------------- */

static GtkWidget *editor(void)
{
    g_autoptr(GListModel) all = G_LIST_MODEL(g_object_ref(gtk_window_get_toplevels()));
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(GtkWidget) window = g_list_model_get_item(all, i);
        const char *title = gtk_window_get_title(GTK_WINDOW(window));
        if (title && g_str_has_suffix(title, " Persona")) return window;
    }
    return NULL;
}

static bool is_closed(void *data)
{
    (void)data;
    return !editor();
}

static void fill_in(const char *name, const char *prompt, const char *action)
{
    GtkWidget *window = editor();
    CHECK(window);
    if (!window) return;
    gtk_editable_set_text(GTK_EDITABLE(world_row(window, "Name")), name);
    GtkWidget *view = world_find(window, GTK_TYPE_TEXT_VIEW, NULL, NULL);
    gtk_text_buffer_set_text(gtk_text_view_get_buffer(GTK_TEXT_VIEW(view)), prompt, -1);
    GtkWidget *button = world_find(window, GTK_TYPE_BUTTON, has_label, action);
    CHECK(button);
    if (g_str_equal(action, "Cancel"))
        gtk_widget_activate(button);
    else
        press(button);
    CHECK(world_wait(is_closed, NULL));
}

static bool has_undo(void *prefs)
{
    return world_find(prefs, GTK_TYPE_BUTTON, has_label, "Undo") != NULL;
}

static void personas(void)
{
    World *w = world_new();
    GtkWidget *prefs = hearth_preferences_new(w->app);
    GtkWindow *window = world_show(prefs, 600, 600);
    GListModel *all = hearth_history_get_personas(w->history);
    CHECK(world_row(prefs, "No personas yet"));

    GtkWidget *add = world_find(prefs, ADW_TYPE_BUTTON_CONTENT, NULL, NULL);
    add = gtk_widget_get_ancestor(add, GTK_TYPE_BUTTON);
    press(add);
    GtkWidget *save = world_find(editor(), GTK_TYPE_BUTTON, has_label, "Save");
    CHECK(!gtk_widget_get_sensitive(save)); /* no name yet */
    fill_in(" Anna ", "You are Anna.", "Save");
    CHECK_INT(g_list_model_get_n_items(all), 1);
    g_autoptr(HearthPersona) persona = g_list_model_get_item(all, 0);
    CHECK_STR(hearth_persona_get_name(persona), "Anna");
    CHECK(!world_row(prefs, "No personas yet"));

    g_signal_emit_by_name(world_row(prefs, "Anna"), "activated");
    fill_in("Bertha", "You are somebody else.", "Cancel");
    CHECK(world_row(prefs, "Anna"));
    g_signal_emit_by_name(world_row(prefs, "Anna"), "activated");
    fill_in("Bertha", "You are Bertha.\nReally.", "Save");
    CHECK(subtitle_has(prefs, "Bertha", "You are Bertha. Really."));
    CHECK_INT(g_list_model_get_n_items(all), 1);

    press(world_find(world_row(prefs, "Bertha"), GTK_TYPE_BUTTON, has_icon, "user-trash-symbolic"));
    CHECK_INT(g_list_model_get_n_items(all), 0);
    CHECK(!world_row(prefs, "Bertha"));
    CHECK(world_wait(has_undo, prefs));
    press(world_find(prefs, GTK_TYPE_BUTTON, has_label, "Undo"));
    CHECK_INT(g_list_model_get_n_items(all), 1);
    CHECK(world_row(prefs, "Bertha"));
    gtk_window_destroy(window);
    world_free(w);
}

static bool is_seen(GtkWidget *widget, const char *text)
{
    (void)text;
    return gtk_widget_get_mapped(widget);
}

static GtkWidget *seen_switcher(void *prefs)
{
    return world_find(prefs, ADW_TYPE_VIEW_SWITCHER, is_seen, NULL);
}

static bool has_switcher(void *prefs) { return seen_switcher(prefs) != NULL; }

/* Preferences that are narrower than their pages in a row have a second switcher below: choosing a
 * page in it, and closing, is no reason to complain. */
static void closes_narrow(void)
{
    World *w = world_new();
    for (int width = 380; width <= 920; width += 180) { /* from the window's least width on */
        GtkWidget *prefs = hearth_preferences_new(w->app);
        GtkWindow *window = world_show(prefs, width, 500);
        /* A dialog of newer libadwaita slides in: what it holds is not in sight at once. */
        CHECK_MSG(world_wait(has_switcher, prefs), "no switcher at %d px", width);
        GtkWidget *switcher = seen_switcher(prefs);
        for (GtkWidget *button = switcher ? gtk_widget_get_first_child(switcher) : NULL; button;
             button = gtk_widget_get_next_sibling(button)) {
            gtk_widget_grab_focus(button);
            g_signal_emit_by_name(button, "clicked");
            world_run(0.3);
        }
        bool around = !GTK_IS_WINDOW(prefs); /* a dialog: closing its window closes it first */
        gtk_window_close(window);
        world_run(0.3);
        if (around) gtk_window_destroy(window);
    }
    world_free(w);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"closes narrow", closes_narrow},
        {"numbers apply at once", numbers_apply},
        {"choices, switches and the prompt apply at once", choices_apply},
        {"a group goes back to its defaults", groups_reset},
        {"scrolling changes no number", scrolling_changes_nothing},
        {"what a context costs", context_costs},
        {"the cost follows settings and model", context_row_follows},
        {"threads want a reload", threads_reload},
        {"a conversation's rows follow the defaults", options_follow},
        {"a conversation's persona and prompt", options_persona},
        {"personas are added, changed, deleted, brought back", personas},
    };
    gtk_disable_setlocale(); /* whatever the machine speaks, the tests read English */
    adw_init();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
