/* The window over a real store and the built-in model: what its list shows, what its menus and keys
 * do, how it fits. */
#include <glib/gstdio.h>

#include "test.h"
#include "world.h"

#include "application.h"
#include "hardware/gauge_strip.h"
#include "hardware/hardware_window.h"
#include "hardware/plan/residency.h"
#include "window/menus.h"
#include "window/shortcuts.h"
#include "window/sidebar/excerpt.h"
#include "window/sidebar/row.h"
#include "window/sidebar/sections.h"
#include "window/sidebar/sidebar.h"
#include "window/split.h"
#include "window/transfer.h"
#include "window/window.h"

static World *world;
static AdwApplication *application;
static HearthWindow *window;
static GtkWidget *list;

/* ---- finding and doing ----------------------------------------------------------------------- */

static bool is_shown(void *data)
{
    (void)data;
    return hearth_window_get_conversation(window) != NULL;
}

static void begin_sized(int width, int height)
{
    world = world_new();
    g_settings_set_int(world->settings, "window-width", width);
    g_settings_set_int(world->settings, "window-height", height);
    window = hearth_window_new(GTK_APPLICATION(application), world->app);
    world_show(GTK_WIDGET(window), width, height);
    CHECK(world_wait(is_shown, NULL));
    list = world_find(GTK_WIDGET(window), GTK_TYPE_LIST_VIEW, NULL, NULL);
}

static void begin(void) { begin_sized(1000, 700); }

static void end(void)
{
    gtk_window_destroy(GTK_WINDOW(window));
    world_free(world);
}

static bool is_stored(void *conversation)
{
    gboolean stored;
    g_object_get(conversation, "stored", &stored, NULL);
    return stored;
}

static HearthConversation *add(const char *title)
{
    HearthConversation *conversation = hearth_history_new_conversation(world->history, 0);
    hearth_conversation_set_title(conversation, title);
    hearth_conversation_set_draft(conversation, "kept"); /* is worth a row now */
    CHECK(world_wait(is_stored, conversation));
    return conversation;
}

static GListModel *rows(void) { return G_LIST_MODEL(gtk_list_view_get_model(GTK_LIST_VIEW(list))); }

/* Titles of the list, with "[Heading]" and "<Folder>"; g_free(). */
static char *listed(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    world_run(0.1);
    for (guint i = 0; i < g_list_model_get_n_items(rows()); i++) {
        g_autoptr(HearthItem) item = g_list_model_get_item(rows(), i);
        HearthConversation *conversation = hearth_item_get_conversation(item);
        if (i) g_string_append_c(text, ' ');
        if (conversation)
            g_string_append(text, hearth_conversation_get_title(conversation));
        else if (hearth_item_get_folder(item))
            g_string_append_printf(text, "<%s>",
                                   hearth_folder_get_name(hearth_item_get_folder(item)));
        else
            g_string_append_printf(text, "[%s]", hearth_item_get_text(item));
    }
    return g_strdup(text->str);
}

#define CHECK_LISTED(want)                                                                         \
    do {                                                                                           \
        g_autofree char *listed_ = listed();                                                       \
        CHECK_STR(listed_, want);                                                                  \
    } while (0)

static void act(const char *name, HearthConversation *about)
{
    gtk_widget_activate_action(list, name, "x", hearth_conversation_get_id(about));
    world_run(0.1);
}

static bool has_title_text(GtkWidget *toast_label, const char *text)
{
    return strcmp(gtk_label_get_text(GTK_LABEL(toast_label)), text) == 0;
}

static bool answers(GtkWidget *entry, const char *text)
{
    GtkWidget *popover = gtk_widget_get_ancestor(entry, GTK_TYPE_POPOVER);
    (void)text;
    return popover && gtk_widget_get_mapped(popover);
}

/* Into the popover that asks for a name. */
static void name_it(const char *name)
{
    GtkWidget *entry = world_find(GTK_WIDGET(window), GTK_TYPE_ENTRY, answers, NULL);
    CHECK_MSG(entry, "nothing asks for a name");
    if (!entry) return;
    gtk_editable_set_text(GTK_EDITABLE(entry), name);
    g_signal_emit_by_name(entry, "activate");
    world_run(0.3);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static bool exists(const char *action)
{
    if (g_str_has_prefix(action, "app."))
        return g_action_group_has_action(G_ACTION_GROUP(application), action + 4);
    if (g_str_has_prefix(action, "window.")) return true; /* GTK's own */
    return g_str_has_prefix(action, "win.") &&
           g_action_group_has_action(G_ACTION_GROUP(window), action + 4);
}

static int check_menu(GMenuModel *menu)
{
    int n = 0;
    for (int i = 0; i < g_menu_model_get_n_items(menu); i++) {
        g_autofree char *action = NULL;
        if (g_menu_model_get_item_attribute(menu, i, G_MENU_ATTRIBUTE_ACTION, "s", &action)) {
            CHECK_MSG(exists(action), "%s of a menu does not exist", action);
            n++;
        }
        static const char *const links[] = {G_MENU_LINK_SECTION, G_MENU_LINK_SUBMENU};
        for (size_t k = 0; k < G_N_ELEMENTS(links); k++) {
            g_autoptr(GMenuModel) more = g_menu_model_get_item_link(menu, i, links[k]);
            if (more) n += check_menu(more);
        }
    }
    return n;
}

static void actions_exist(void)
{
    begin();
    HearthConversation *a = add("a");
    HearthFolder *folder = hearth_history_add_folder(world->history, "Work");
    g_autoptr(GMenuModel) main_menu = hearth_menus_new_main();
    g_autoptr(GMenuModel) folder_menu = hearth_menus_new_folder(folder);
    g_autoptr(GMenuModel) menu = hearth_menus_new_conversation(world->history, a, true);
    CHECK(check_menu(main_menu) >= 7);
    CHECK(check_menu(folder_menu) >= 3);
    CHECK(check_menu(menu) >= 7);
    g_auto(GStrv) actions = gtk_application_list_action_descriptions(GTK_APPLICATION(application));
    CHECK(g_strv_length(actions) >= 10);
    for (char **action = actions; *action; action++)
        if (strcmp(*action, "app.quit") != 0)
            CHECK_MSG(exists(*action), "%s of a key does not exist", *action);
    end();
}

static GtkWindow *hardware(void)
{
    g_autoptr(GListModel) all = G_LIST_MODEL(g_object_ref(gtk_window_get_toplevels()));
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(GtkWindow) one = g_list_model_get_item(all, i);
        if (HEARTH_IS_HARDWARE_WINDOW(one)) return one;
    }
    return NULL;
}

static bool plan_is_in_sight(void *data)
{
    GtkWidget *page = GTK_WIDGET(hardware());
    GtkWidget *table = page ? world_find(page, HEARTH_TYPE_RESIDENCY, NULL, NULL) : NULL;
    graphene_rect_t box;
    (void)data;
    return table && gtk_widget_get_mapped(table) && gtk_widget_compute_bounds(table, page, &box) &&
           box.origin.y > 0 && box.origin.y + box.size.height <= (float)gtk_widget_get_height(page);
}

/* From the header to the table, without scrolling. */
static void shows_the_plan(void)
{
    begin();
    world_load(world, "");
    GtkWidget *button = world_find(GTK_WIDGET(window), GTK_TYPE_BUTTON, has_icon,
                                   "power-profile-performance-symbolic");
    CHECK(world_seen(button));
    g_signal_emit_by_name(button, "clicked");
    CHECK(world_wait(plan_is_in_sight, NULL));
    gtk_window_destroy(hardware());
    end();
}

static void lists_and_selects(void)
{
    begin();
    HearthConversation *a = add("a"), *b = add("b");
    CHECK_LISTED("[Today] b a");
    hearth_window_open(window, a, 0);
    GtkSelectionModel *selection = GTK_SELECTION_MODEL(rows());
    CHECK(gtk_selection_model_is_selected(selection, 2));
    gtk_selection_model_select_item(selection, 1, true); /* as a click does */
    CHECK(hearth_window_get_conversation(window) == b);
    gtk_selection_model_select_item(selection, 0, true); /* a heading is no conversation */
    CHECK(hearth_window_get_conversation(window) == b);
    CHECK(gtk_selection_model_is_selected(selection, 1));
    CHECK_STR(gtk_window_get_title(GTK_WINDOW(window)), "b");
    hearth_window_step(window, 1);
    CHECK(hearth_window_get_conversation(window) == a);
    hearth_window_step(window, 1);
    CHECK(hearth_window_get_conversation(window) == a);
    CHECK_INT(g_settings_get_int64(world->settings, "last-conversation"),
              hearth_conversation_get_id(a));
    end();
}

static void renames_pins_and_moves(void)
{
    begin();
    HearthConversation *a = add("a");
    add("b");
    hearth_window_open(window, a, 0);
    act("win.pin-conversation", a);
    CHECK_LISTED("[Pinned] a [Today] b");
    act("win.pin-conversation", a);
    CHECK_LISTED("[Today] b a");
    act("win.rename-conversation", a);
    name_it("  Trip to Kyiv ");
    CHECK_STR(hearth_conversation_get_title(a), "Trip to Kyiv");
    CHECK_STR(gtk_window_get_title(GTK_WINDOW(window)), "Trip to Kyiv");
    act("win.move-to-new-folder", a);
    name_it("Travel");
    CHECK_LISTED("[Folders] <Travel> [Today] b");
    gtk_widget_activate_action(list, "win.move-conversation", "(xx)", hearth_conversation_get_id(a),
                               G_GINT64_CONSTANT(0));
    CHECK_LISTED("[Folders] <Travel> [Today] b Trip to Kyiv");
    end();
}

static void undo(void)
{
    GtkWidget *button = world_find(GTK_WIDGET(window), GTK_TYPE_BUTTON, has_label, "Undo");
    CHECK_MSG(world_seen(button), "there is no Undo");
    if (button) g_signal_emit_by_name(button, "clicked");
    world_run(0.3);
}

static void deletes_and_undoes(void)
{
    begin();
    HearthConversation *a = add("a <b>"), *b = add("b");
    hearth_window_open(window, a, 0);
    act("win.delete-conversation", a);
    CHECK_LISTED("[Today] b");
    CHECK(hearth_window_get_conversation(window) == b);
    CHECK(world_find(GTK_WIDGET(window), GTK_TYPE_LABEL, has_title_text, "“a <b>” deleted"));
    undo();
    CHECK_LISTED("[Today] b a <b>");
    CHECK(hearth_window_get_conversation(window) == a);
    end();
}

static void folders_come_back(void)
{
    begin();
    HearthFolder *folder = hearth_history_add_folder(world->history, "Work");
    HearthConversation *a = add("a");
    hearth_conversation_set_folder(a, hearth_folder_get_id(folder));
    CHECK_LISTED("[Folders] <Work>");
    gtk_widget_activate_action(list, "win.delete-folder", "x", hearth_folder_get_id(folder));
    CHECK_LISTED("[Today] a");
    undo();
    CHECK_LISTED("[Folders] <Work>");
    end();
}

static bool has_hits(void *data)
{
    g_autofree char *text = listed();
    return strcmp(text, data) == 0;
}

static void searches(void)
{
    begin();
    HearthConversation *soup = add("Soup of the day");
    add("Kernel notes");
    GtkWidget *entry = world_find(GTK_WIDGET(window), GTK_TYPE_SEARCH_ENTRY, NULL, NULL);
    gtk_editable_set_text(GTK_EDITABLE(entry), "soup");
    CHECK(world_wait(has_hits, (void *)"Soup of the day"));
    g_autoptr(HearthItem) hit = g_list_model_get_item(rows(), 0);
    CHECK_INT(hearth_item_get_kind(hit), HEARTH_ITEM_HIT);
    CHECK_STR(hearth_item_get_text(hit), "<b>Soup</b> of the day");
    g_signal_emit_by_name(entry, "activate");
    CHECK(hearth_window_get_conversation(window) == soup);
    g_signal_emit_by_name(entry, "stop-search");
    CHECK_LISTED("[Today] Kernel notes Soup of the day");
    end();
}

static bool has_n_hits(void *n)
{
    g_autoptr(HearthItem) first = g_list_model_get_item(rows(), 0);
    return first && hearth_item_get_kind(first) == HEARTH_ITEM_HIT &&
           g_list_model_get_n_items(rows()) == GPOINTER_TO_UINT(n);
}

/* The first hits come before the others; each comes once, newest first. */
static void finds_more_than_the_first(void)
{
    begin();
    for (int i = 0; i < 45; i++) {
        g_autofree char *title = g_strdup_printf("Soup %d", i);
        add(title);
    }
    GtkWidget *entry = world_find(GTK_WIDGET(window), GTK_TYPE_SEARCH_ENTRY, NULL, NULL);
    gtk_editable_set_text(GTK_EDITABLE(entry), "soup");
    CHECK(world_wait(has_n_hits, GUINT_TO_POINTER(45)));
    for (guint i = 0; i < 45; i++) {
        g_autofree char *want = g_strdup_printf("<b>Soup</b> %u", 44 - i);
        g_autoptr(HearthItem) hit = g_list_model_get_item(rows(), i);
        CHECK_STR(hit ? hearth_item_get_text(hit) : NULL, want);
    }
    gtk_editable_set_text(GTK_EDITABLE(entry), "soup 7");
    CHECK(world_wait(has_n_hits, GUINT_TO_POINTER(1)));
    end();
}

static bool has_row(void *data) { return world_find(list, GTK_TYPE_LABEL, has_text, data) != NULL; }

/* What was found is shown as it reads: its Markdown is gone, the hits are not. */
static void shows_what_was_found(void)
{
    begin();
    HearthConversation *c = hearth_window_get_conversation(window);
    hearth_conversation_send(c,
                             "Heading\n---\n\n1. a **bold `needle`** & [thread](https://x.org/y)");
    hearth_conversation_stop(c);
    GtkWidget *entry = world_find(GTK_WIDGET(window), GTK_TYPE_SEARCH_ENTRY, NULL, NULL);
    gtk_editable_set_text(GTK_EDITABLE(entry), "needle thre");
    CHECK(world_wait(has_row, (void *)"a bold needle & thread"));
    GtkWidget *label = world_find(list, GTK_TYPE_LABEL, has_text, "a bold needle & thread");
    if (label)
        CHECK_STR(gtk_label_get_label(GTK_LABEL(label)),
                  "a bold <b>needle</b> &amp; <b>thread</b>");
    end();
}

/* One hit a line: what the store says of it, what is shown. */
static void reads_excerpts(void)
{
#define HIT(text) HEARTH_HIT_BEGIN text HEARTH_HIT_END
    static const struct {
        const char *excerpt, *markup;
    } cases[] = {
        {"**" HIT("bold") "**", "<b>bold</b>"},
        {"# " HIT("Title") "\ntext", "<b>Title</b> text"},
        {HIT("snake") "_" HIT("case"), "<b>snake</b>_<b>case</b>"},
        {"a < " HIT("b") " & c", "a &lt; <b>b</b> &amp; c"},
        {"- [x] " HIT("done") "\n- open", "<b>done</b> open"},
        {"```c\nint " HIT("x") ";\n```", "int <b>x</b>;"},
        {"[here](https://x.org/" HIT("path") ")", "raw"},
        {"数据" HIT("库") "很好", "数据<b>库</b>很好"},
        {"one two three four five six seven eight " HIT("nine"),
         "…four five six seven eight <b>nine</b>"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *markup = hearth_excerpt_markup(cases[i].excerpt, "raw");
        CHECK_STR(markup, cases[i].markup);
    }
    g_autofree char *word = g_strnfill(400, 'a');
    g_autofree char *text = g_strconcat(HEARTH_HIT_BEGIN, word, HEARTH_HIT_END, NULL);
    g_autofree char *markup = hearth_excerpt_markup(text, "raw");
    CHECK(g_str_has_suffix(markup, "a</b>…") && strlen(markup) < 200);
}

/* The button of a banner that says this; NULL = none does. */
static GtkWidget *banner_button(const char *sentence)
{
    GtkWidget *label = world_find(GTK_WIDGET(window), GTK_TYPE_LABEL, has_text, sentence);
    if (!world_seen(label)) return NULL;
    GtkWidget *box = gtk_widget_get_parent(label), *button = NULL;
    while (box && !(button = world_find(box, GTK_TYPE_BUTTON, NULL, NULL)))
        box = gtk_widget_get_parent(box);
    return button;
}

static bool says(void *sentence) { return banner_button(sentence) != NULL; }
static bool does_not_say(void *sentence) { return banner_button(sentence) == NULL; }

static void press(const char *sentence)
{
    GtkWidget *button = banner_button(sentence);
    CHECK_MSG(button, "no banner says “%s”", sentence);
    if (button) g_signal_emit_by_name(button, "clicked");
}

static void loses_no_notice(void)
{
    begin();
    static const char *const sentences[] = {"One.", "Two.", "Three."};
    for (int i = 0; i < 3; i++) g_signal_emit_by_name(world->app, "notice", sentences[i]);
    hearth_window_notice(window, "Two."); /* again: it is new, and said once */
    CHECK(world_wait(says, (void *)"Two."));
    press("Two.");
    CHECK(world_wait(says, (void *)"Three."));
    press("Three.");
    CHECK(world_wait(says, (void *)"One."));
    press("One.");
    CHECK(world_wait(does_not_say, (void *)"One."));
    end();
}

static bool has_answer(void *conversation)
{
    return g_list_model_get_n_items(conversation) == 2 &&
           !hearth_conversation_is_busy(conversation);
}

static bool is_offered(GtkWidget *button, const char *label)
{
    return world_seen(button) && has_label(button, label);
}

static bool is_said(GtkWidget *label, const char *text)
{
    return world_seen(label) && has_text(label, text);
}

static bool tells(void *why)
{
    GtkWidget *all = GTK_WIDGET(window);
    return world_find(all, GTK_TYPE_BUTTON, is_offered, "Choose Another…") &&
           world_find(all, GTK_TYPE_LABEL, is_said, why);
}

static bool does_not_tell(void *data)
{
    (void)data;
    return !world_find(GTK_WIDGET(window), GTK_TYPE_BUTTON, is_offered, "Choose Another…");
}

/* Once: an empty conversation has it in its middle. */
static void tells_beside_messages_why_no_model_is_there(void)
{
    begin();
    g_autofree char *gone = g_build_filename(world->folder, "gone.gguf", NULL);
    g_autofree char *why = g_strdup_printf("There is no file \"%s\"", gone);
    HearthConversation *other = add("other");
    hearth_window_open(window, other, 0);
    hearth_conversation_send(other, "Is anybody there?");
    CHECK(world_wait(has_answer, other));
    CHECK_INT(world_load(world, gone), HEARTH_MODEL_FAILED);
    CHECK(world_wait(tells, why));
    hearth_window_open_new(window, 0);
    CHECK(hearth_window_get_conversation(window) != other);
    CHECK(world_wait(does_not_tell, NULL));
    hearth_window_open(window, other, 0);
    CHECK(world_wait(tells, why));
    CHECK_INT(world_load(world, ""), HEARTH_MODEL_READY);
    CHECK(world_wait(does_not_tell, NULL));
    end();
}

/* The file cannot be opened; what is written meanwhile is in it when it can. */
static void tries_again(void)
{
    g_autofree char *path = g_build_filename(g_getenv("HEARTH_DATA_DIR"), "history.db", NULL);
    CHECK_INT(g_mkdir(path, 0700), 0);
    begin();
    CHECK(world_wait(says, (void *)"The chat history cannot be opened"));
    add("meanwhile");
    press("The chat history cannot be opened");
    world_run(0.5);
    CHECK(world_wait(says, (void *)"The chat history cannot be opened"));
    CHECK_INT(g_rmdir(path), 0);
    press("The chat history cannot be opened");
    world_run(1.5);
    CHECK(!says((void *)"The chat history cannot be opened"));
    CHECK_LISTED("[Today] meanwhile");
    gtk_window_destroy(GTK_WINDOW(window));
    hearth_app_close(world->app);
    CHECK(g_file_test(path, G_FILE_TEST_IS_REGULAR));
    g_autofree char *folder = g_strdup(world->folder);
    g_autofree char *kept = g_build_filename(folder, "..", "kept.db", NULL);
    CHECK_INT(g_rename(path, kept), 0);
    world_free(world);
    CHECK_INT(g_rename(kept, path), 0);
    begin();
    CHECK_LISTED("[Today] meanwhile");
    end();
}

/* With no translation of ours to ask. */
static void knows_directions(void)
{
    static const struct {
        const char *language;
        GtkTextDirection direction;
    } cases[] = {{"ar-eg", GTK_TEXT_DIR_RTL}, {"he", GTK_TEXT_DIR_RTL},
                 {"fa-ir", GTK_TEXT_DIR_RTL}, {"ur-pk", GTK_TEXT_DIR_RTL},
                 {"yi", GTK_TEXT_DIR_RTL},    {"dv", GTK_TEXT_DIR_RTL},
                 {"en-us", GTK_TEXT_DIR_LTR}, {"zh-cn", GTK_TEXT_DIR_LTR},
                 {"de", GTK_TEXT_DIR_LTR},    {"c", GTK_TEXT_DIR_NONE}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        PangoLanguage *language = pango_language_from_string(cases[i].language);
        CHECK_MSG(hearth_application_direction_of(language) == cases[i].direction,
                  "%s is written the other way", cases[i].language);
    }
}

static bool is_mapped(GtkWidget *widget, const char *text)
{
    (void)text;
    return gtk_widget_get_mapped(widget);
}

static GtkWidget *focused(void) { return gtk_window_get_focus(GTK_WINDOW(window)); }

/* Through the sidebar with the Tab key, and back: the list is one stop, at the row of what is open.
 */
static void tabs_once_through_the_list(void)
{
    begin();
    hearth_history_add_folder(world->history, "Work");
    for (int i = 0; i < 5; i++) {
        char title[] = {(char)('a' + i), 0};
        HearthConversation *one = add(title);
        if (i == 2) hearth_window_open(window, one, 0);
    }
    CHECK_LISTED("[Folders] <Work> [Today] e d c b a");
    GtkWidget *sidebar = gtk_widget_get_ancestor(list, HEARTH_TYPE_SIDEBAR);
    GtkWidget *entry = world_find(sidebar, GTK_TYPE_SEARCH_ENTRY, NULL, NULL);
    gtk_widget_grab_focus(entry);
    CHECK(gtk_widget_child_focus(sidebar, GTK_DIR_TAB_FORWARD));
    CHECK(gtk_widget_is_ancestor(focused(), list));
    GtkWidget *row = world_find(focused(), HEARTH_TYPE_ROW, NULL, NULL);
    HearthItem *item = row ? hearth_row_get_item(HEARTH_ROW(row)) : NULL;
    CHECK(item && hearth_item_get_conversation(item) == hearth_window_get_conversation(window));
    GtkWidget *stop = focused();
    CHECK(gtk_widget_child_focus(sidebar, GTK_DIR_TAB_FORWARD)); /* the gauges */
    CHECK(!gtk_widget_is_ancestor(focused(), list) && gtk_widget_is_ancestor(focused(), sidebar));
    CHECK(!gtk_widget_child_focus(sidebar, GTK_DIR_TAB_FORWARD));
    CHECK(gtk_widget_child_focus(sidebar, GTK_DIR_TAB_BACKWARD));
    CHECK(focused() == stop);
    CHECK(gtk_widget_child_focus(sidebar, GTK_DIR_DOWN));
    CHECK(gtk_widget_is_ancestor(focused(), list) && focused() != stop);
    CHECK(gtk_widget_child_focus(sidebar, GTK_DIR_TAB_BACKWARD));
    CHECK(gtk_widget_is_ancestor(focused(), entry));
    end();
}

/* Always one strip of gauges in sight, whatever the width, unless they are not wanted. */
static int gauges_seen(GtkWidget *in)
{
    int n = HEARTH_IS_GAUGE_STRIP(in) && gtk_widget_get_mapped(in);
    for (GtkWidget *one = gtk_widget_get_first_child(in); one;
         one = gtk_widget_get_next_sibling(one))
        n += gauges_seen(one);
    return n;
}

static void gauges_stay_in_sight(void)
{
    for (int width = 360; width <= 1000; width += 320) {
        begin_sized(width, 600);
        world_run(0.3);
        GtkWidget *split = world_find(GTK_WIDGET(window), HEARTH_TYPE_SPLIT, NULL, NULL);
        bool narrow = hearth_split_get_narrow(HEARTH_SPLIT(split));
        CHECK_INT(narrow, width < 720);
        CHECK_INT(gauges_seen(GTK_WIDGET(window)), 1);
        gtk_widget_activate_action(split, "win.sidebar", NULL);
        world_run(0.5);
        CHECK_INT(gauges_seen(GTK_WIDGET(window)), narrow ? 2 : 1); /* its own over the other */
        if (!narrow) {
            GtkWidget *bar = world_find(GTK_WIDGET(window), GTK_TYPE_LEVEL_BAR, is_mapped, NULL);
            CHECK(bar && !gtk_widget_get_ancestor(bar, HEARTH_TYPE_SIDEBAR));
        }
        CHECK_MSG(gtk_widget_get_width(GTK_WIDGET(window)) <= MAX(width, 360) + 52,
                  "the window is %d px wide", gtk_widget_get_width(GTK_WIDGET(window)));
        g_settings_set_boolean(world->settings, "gauges-visible", false);
        world_run(0.3);
        CHECK_INT(gauges_seen(GTK_WIDGET(window)), 0);
        end();
    }
}

static void fits(void)
{
    begin_sized(1000, 700);
    add("a"); /* else there is no list */
    world_run(0.2);
    HearthSplit *split =
        HEARTH_SPLIT(world_find(GTK_WIDGET(window), HEARTH_TYPE_SPLIT, NULL, NULL));
    CHECK(!hearth_split_get_narrow(split) && world_seen(list));
    gtk_widget_activate_action(list, "win.sidebar", NULL);
    world_run(0.2);
    CHECK(!world_seen(list));
    CHECK(!g_settings_get_boolean(world->settings, "sidebar-visible"));
    end();
    begin_sized(500, 600);
    HearthConversation *a = add("a");
    split = HEARTH_SPLIT(world_find(GTK_WIDGET(window), HEARTH_TYPE_SPLIT, NULL, NULL));
    CHECK(hearth_split_get_narrow(split) && !world_seen(list));
    gtk_widget_activate_action(GTK_WIDGET(split), "win.sidebar", NULL);
    world_run(0.5);
    CHECK(world_seen(list));
    CHECK(g_settings_get_boolean(world->settings, "sidebar-visible")); /* of a wide window */
    hearth_window_open(window, a, 0); /* choosing a conversation gives way to it */
    world_run(0.5);
    CHECK(!world_seen(list));
    end();
    begin_sized(360, 400);
    CHECK_MSG(gtk_widget_get_width(GTK_WIDGET(window)) <= 412, "the window is %d px wide",
              gtk_widget_get_width(GTK_WIDGET(window)));
    end();
}

static void comes_back(void)
{
    begin();
    HearthConversation *a = add("a");
    gint64 id = hearth_conversation_get_id(a);
    hearth_window_open(window, a, 0);
    gtk_window_destroy(GTK_WINDOW(window));
    window = hearth_window_new(GTK_APPLICATION(application), world->app);
    world_show(GTK_WIDGET(window), 1000, 700);
    CHECK_INT(hearth_conversation_get_id(hearth_window_get_conversation(window)), id);
    hearth_window_open_new(window, 0);
    CHECK(hearth_conversation_get_id(hearth_window_get_conversation(window)) != id);
    end();
}

/* What is open besides the window: windows, and from libadwaita 1.5 on a dialog within it. */
static guint n_open(void)
{
    guint n = g_list_model_get_n_items(gtk_window_get_toplevels()) - 1;
#if ADW_CHECK_VERSION(1, 5, 0)
    n += adw_application_window_get_visible_dialog(ADW_APPLICATION_WINDOW(window)) != NULL;
#endif
    return n;
}

static void close_others(void)
{
    GListModel *all = gtk_window_get_toplevels();
    for (guint i = g_list_model_get_n_items(all); i-- > 0;) {
        g_autoptr(GtkWindow) one = g_list_model_get_item(all, i);
        if (one != GTK_WINDOW(window)) gtk_window_destroy(one);
    }
#if ADW_CHECK_VERSION(1, 5, 0)
    AdwDialog *dialog = adw_application_window_get_visible_dialog(ADW_APPLICATION_WINDOW(window));
    if (dialog) adw_dialog_force_close(dialog);
#endif
    world_run(0.3);
}

/* Or Ctrl+Q is not heard in it, and it stays when the window goes. */
static void check_belongs(const char *action)
{
    GListModel *all = gtk_window_get_toplevels();
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(GtkWindow) one = g_list_model_get_item(all, i);
        CHECK_MSG(gtk_window_get_application(one) == GTK_APPLICATION(application),
                  "a window of %s is not the application's", action);
        CHECK_MSG(one == GTK_WINDOW(window) || gtk_window_get_destroy_with_parent(one),
                  "a window of %s outlives the main one", action);
    }
}

/* Each opens, and closes without a complaint. */
static void windows_open(void)
{
    static const char *const actions[] = {"win.shortcuts", "win.about", "win.preferences",
                                          "win.hardware", "win.conversation-options"};
    begin();
    hearth_window_open(window, add("a"), 0);
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
        CHECK_INT(n_open(), 0);
        gtk_widget_activate_action(list, actions[i], NULL);
        world_run(0.3);
        CHECK_MSG(n_open() == 1, "%s opened %u windows", actions[i], n_open());
        check_belongs(actions[i]);
        close_others();
    }
    end();
}

static void exports_by_the_name(void)
{
    CHECK(hearth_transfer_is_json("a.json", false));
    CHECK(hearth_transfer_is_json("A.JSON", true));
    CHECK(!hearth_transfer_is_json("a.md", false));
    CHECK(!hearth_transfer_is_json("a", false));
    CHECK(!hearth_transfer_is_json("a.md", true));
    CHECK(hearth_transfer_is_json("backup", true)); /* it can be imported again */
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"exports by the name", exports_by_the_name},
                                 {"menus and keys have their actions", actions_exist},
                                 {"the header shows the plan", shows_the_plan},
                                 {"lists and selects", lists_and_selects},
                                 {"renames, pins and moves", renames_pins_and_moves},
                                 {"deletes and undoes", deletes_and_undoes},
                                 {"folders come back", folders_come_back},
                                 {"searches", searches},
                                 {"finds more than the first", finds_more_than_the_first},
                                 {"shows what was found", shows_what_was_found},
                                 {"reads excerpts", reads_excerpts},
                                 {"loses no notice", loses_no_notice},
                                 {"tells beside messages why no model is there",
                                  tells_beside_messages_why_no_model_is_there},
                                 {"tries again", tries_again},
                                 {"knows directions", knows_directions},
                                 {"tabs once through the list", tabs_once_through_the_list},
                                 {"gauges stay in sight", gauges_stay_in_sight},
                                 {"fits", fits},
                                 {"comes back to the last conversation", comes_back},
                                 {"windows open", windows_open}};
    application = adw_application_new(NULL, G_APPLICATION_NON_UNIQUE);
    if (!g_application_register(G_APPLICATION(application), NULL, NULL)) return 1;
    hearth_shortcuts_install(GTK_APPLICATION(application));
    int failed = test_main(argc, argv, tests, TEST_COUNT(tests));
    g_object_unref(application);
    return failed;
}
