/* The sidebar's list, over conversations and folders that are made here: no store, no display. */
#include "../test.h"

#include <locale.h>

#include "window/sidebar/sections.h"

/* ---- what app/ would give -------------------------------------------------------------------- */

struct _HearthConversation {
    GObject parent_instance;
    char *title;
    bool pinned;
    gint64 folder, updated;
};
G_DEFINE_FINAL_TYPE(HearthConversation, hearth_conversation, G_TYPE_OBJECT)

struct _HearthFolder {
    GObject parent_instance;
    gint64 id;
    char *name;
};
G_DEFINE_FINAL_TYPE(HearthFolder, hearth_folder, G_TYPE_OBJECT)

static void get_updated(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    (void)id;
    (void)spec;
    g_value_set_int64(value, HEARTH_CONVERSATION(object)->updated);
}

static void conversation_finalize(GObject *object)
{
    g_free(HEARTH_CONVERSATION(object)->title);
    G_OBJECT_CLASS(hearth_conversation_parent_class)->finalize(object);
}

static void hearth_conversation_class_init(HearthConversationClass *class)
{
    static const char *const names[] = {"updated", "pinned", "folder", "title"};
    G_OBJECT_CLASS(class)->get_property = get_updated;
    G_OBJECT_CLASS(class)->finalize = conversation_finalize;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++)
        g_object_class_install_property(
            G_OBJECT_CLASS(class), i + 1,
            g_param_spec_int64(names[i], NULL, NULL, 0, G_MAXINT64, 0, G_PARAM_READABLE));
}

static void hearth_conversation_init(HearthConversation *self) { (void)self; }

static void folder_finalize(GObject *object)
{
    g_free(HEARTH_FOLDER(object)->name);
    G_OBJECT_CLASS(hearth_folder_parent_class)->finalize(object);
}

static void hearth_folder_class_init(HearthFolderClass *class)
{
    G_OBJECT_CLASS(class)->finalize = folder_finalize;
}

static void hearth_folder_init(HearthFolder *self) { (void)self; }

bool hearth_conversation_get_pinned(HearthConversation *c) { return c->pinned; }
gint64 hearth_conversation_get_folder(HearthConversation *c) { return c->folder; }
gint64 hearth_conversation_get_updated(HearthConversation *c) { return c->updated; }
const char *hearth_conversation_get_title(HearthConversation *c) { return c->title; }
gint64 hearth_folder_get_id(HearthFolder *f) { return f->id; }
const char *hearth_folder_get_name(HearthFolder *f) { return f->name; }

/* ---- the tests' own -------------------------------------------------------------------------- */

#define DAY (G_GINT64_CONSTANT(86400) * G_USEC_PER_SEC)

static GListStore *history, *folders;
static HearthSections *sections;
static GPtrArray *mirror; /* what a view would show that believes the signals alone */
static int n_signals, n_changed;
static gint64 noon; /* of Wednesday, 20 May 2026 */

static HearthConversation *conversation(const char *title, gint64 updated)
{
    HearthConversation *c = g_object_new(HEARTH_TYPE_CONVERSATION, NULL);
    c->title = g_strdup(title);
    c->updated = updated;
    return c;
}

static int newest_first(const void *a, const void *b, gpointer data)
{
    gint64 x = ((HearthConversation *)a)->updated, y = ((HearthConversation *)b)->updated;
    (void)data;
    return x < y ? 1 : x > y ? -1 : 0;
}

static HearthConversation *add(const char *title, gint64 updated)
{
    HearthConversation *c = conversation(title, updated);
    g_list_store_insert_sorted(history, c, newest_first, NULL);
    g_object_unref(c);
    return c;
}

static HearthFolder *add_folder(gint64 id, const char *name)
{
    HearthFolder *f = g_object_new(HEARTH_TYPE_FOLDER, NULL);
    f->id = id;
    f->name = g_strdup(name);
    g_list_store_append(folders, f);
    g_object_unref(f);
    return f;
}

static void mirror_change(GListModel *model, guint at, guint n_removed, guint n_added)
{
    n_signals++;
    n_changed += (int)(n_removed + n_added);
    if (n_removed) g_ptr_array_remove_range(mirror, at, n_removed);
    for (guint i = 0; i < n_added; i++)
        g_ptr_array_insert(mirror, (int)(at + i), g_list_model_get_item(model, at + i));
    CHECK_INT(mirror->len, g_list_model_get_n_items(model));
}

static void begin(void)
{
    g_autoptr(GDateTime) time = g_date_time_new_local(2026, 5, 20, 12, 0, 0);
    noon = g_date_time_to_unix(time) * G_USEC_PER_SEC;
    history = g_list_store_new(HEARTH_TYPE_CONVERSATION);
    folders = g_list_store_new(HEARTH_TYPE_FOLDER);
    sections = hearth_sections_new(G_LIST_MODEL(history), G_LIST_MODEL(folders));
    mirror = g_ptr_array_new_with_free_func(g_object_unref);
    g_signal_connect(sections, "items-changed", G_CALLBACK(mirror_change), NULL);
    hearth_sections_set_now(sections, noon);
}

static void end(void)
{
    g_object_unref(sections);
    g_ptr_array_unref(mirror);
    g_object_unref(history);
    g_object_unref(folders);
}

/* "[Heading] title title; <Folder 2 title>" as a view shows it that only heard the signals. */
static char *shown(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    hearth_sections_refresh(sections);
    for (guint i = 0; i < mirror->len; i++) {
        HearthItem *item = mirror->pdata[i];
        if (i) g_string_append_c(text, ' ');
        switch (hearth_item_get_kind(item)) {
        case HEARTH_ITEM_HEADING:
            g_string_append_printf(text, "[%s]", hearth_item_get_text(item));
            break;
        case HEARTH_ITEM_FOLDER:
            g_string_append_printf(text, "<%s:%u>",
                                   hearth_folder_get_name(hearth_item_get_folder(item)),
                                   hearth_item_get_count(item));
            break;
        default:
            g_string_append_printf(
                text, "%s%s", hearth_item_is_inside(item) ? ">" : "",
                hearth_conversation_get_title(hearth_item_get_conversation(item)));
        }
        g_autoptr(HearthItem) same = g_list_model_get_item(G_LIST_MODEL(sections), i);
        CHECK(same == item);
    }
    return g_strdup(text->str);
}

#define CHECK_SHOWN(want)                                                                          \
    do {                                                                                           \
        g_autofree char *shown_ = shown();                                                         \
        CHECK_STR(shown_, want);                                                                   \
    } while (0)

static void dates(void)
{
    begin();
    add("new", noon - 1);
    add("early", noon - DAY / 2);
    add("eve", noon - DAY / 2 - 1);
    add("week", noon - 3 * DAY);
    add("7days", noon - 7 * DAY);
    add("8days", noon - 8 * DAY);
    add("30days", noon - 30 * DAY);
    add("april", noon - 32 * DAY);
    add("march", noon - 60 * DAY);
    add("old", noon - 200 * DAY);
    add("older", noon - 205 * DAY);
    CHECK_SHOWN(
        "[Today] new early [Yesterday] eve [Previous 7 Days] week 7days [Previous 30 Days] "
        "8days 30days [April] april [March] march [November 2025] old [October 2025] older");
    hearth_sections_set_now(sections, noon + DAY);
    CHECK_SHOWN("[Yesterday] new early [Previous 7 Days] eve week [Previous 30 Days] 7days 8days "
                "[April] 30days april [March] march [November 2025] old [October 2025] older");
    end();
}

/* What was expanded in the last run, before the folders have been read. */
static void remembers_folders(void)
{
    begin();
    g_autoptr(GVariant) kept = g_variant_ref_sink(g_variant_new_parsed("[@x 7, 8, 99]"));
    hearth_sections_set_open(sections, kept);
    HearthConversation *a = add("a", noon - 1), *b = add("b", noon - 2);
    a->folder = 7;
    b->folder = 9;
    HearthFolder *seven = add_folder(7, "seven");
    add_folder(8, "eight");
    HearthFolder *nine = add_folder(9, "nine");
    CHECK_SHOWN("[Folders] <seven:1> >a <eight:0> <nine:1>");
    hearth_sections_set_expanded(sections, seven, false);
    hearth_sections_set_expanded(sections, nine, true);
    CHECK_SHOWN("[Folders] <seven:1> <eight:0> <nine:1> >b");
    g_autoptr(GVariant) now = g_variant_ref_sink(hearth_sections_get_open(sections));
    g_autoptr(GVariant) want = g_variant_ref_sink(g_variant_new_parsed("[@x 8, 9]"));
    CHECK(g_variant_equal(now, want));
    end();
}

static void pins_and_folders(void)
{
    begin();
    HearthConversation *a = add("a", noon - 1), *b = add("b", noon - 2), *c = add("c", noon - 3);
    HearthFolder *work = add_folder(7, "Work");
    CHECK_SHOWN("[Folders] <Work:0> [Today] a b c");
    a->folder = b->folder = 7;
    g_object_notify(G_OBJECT(a), "folder");
    CHECK_SHOWN("[Folders] <Work:2> [Today] c");
    CHECK_INT(hearth_sections_find(sections, b), G_MAXUINT);
    hearth_sections_set_expanded(sections, work, true);
    CHECK_SHOWN("[Folders] <Work:2> >a >b [Today] c");
    CHECK_INT(hearth_sections_find(sections, b), 3);
    b->pinned = true;
    g_object_notify(G_OBJECT(b), "pinned");
    CHECK_SHOWN("[Pinned] b [Folders] <Work:1> >a [Today] c");
    c->folder = 99; /* of a folder that is no more */
    g_object_notify(G_OBJECT(c), "folder");
    CHECK_SHOWN("[Pinned] b [Folders] <Work:1> >a [Today] c");
    g_list_store_remove_all(folders);
    a->folder = 0;
    CHECK_SHOWN("[Pinned] b [Today] a c");
    end();
}

static void waits_for_the_main_loop(void)
{
    begin();
    HearthConversation *a = add("a", noon);
    n_signals = 0;
    for (int i = 0; i < 50; i++) g_object_notify(G_OBJECT(a), "updated");
    g_object_notify(G_OBJECT(a), "title");
    CHECK_INT(n_signals, 0);
    while (g_main_context_iteration(NULL, FALSE)) {}
    CHECK_INT(n_signals, 1);
    CHECK_INT(mirror->len, 2);
    end();
}

/* Selection and scroll position of a view live in the rows that are not reported. */
static void small_changes(void)
{
    begin();
    for (int i = 0; i < 2000; i++) {
        g_autofree char *title = g_strdup_printf("c%d", i);
        add(title, noon - i * DAY / 20);
    }
    hearth_sections_refresh(sections);
    g_autoptr(HearthConversation) moved = g_list_model_get_item(G_LIST_MODEL(history), 1500);
    g_autoptr(HearthItem) item =
        g_list_model_get_item(G_LIST_MODEL(sections), hearth_sections_find(sections, moved));
    n_changed = 0;
    g_list_store_remove(history, 1500);
    moved->updated = noon + 1;
    g_list_store_insert(history, 0, moved);
    hearth_sections_refresh(sections);
    CHECK_INT(n_changed, 2);
    CHECK_INT(hearth_sections_find(sections, moved), 1);
    CHECK(mirror->pdata[1] == item);
    n_changed = 0;
    moved->pinned = true;
    g_object_notify(G_OBJECT(moved), "pinned");
    hearth_sections_refresh(sections);
    CHECK_MSG(n_changed <= 4, "pinning reported %d rows", n_changed);
    n_changed = 0;
    moved->pinned = false;
    hearth_sections_refresh(sections);
    CHECK_MSG(n_changed <= 8, "unpinning reported %d rows", n_changed);
    n_changed = 0;
    hearth_sections_refresh(sections);
    CHECK_INT(n_changed, 0);
    end();
}

/* Whatever happens, who believes the signals sees what the model has. */
static void random_changes(void)
{
    begin();
    add_folder(1, "One");
    HearthFolder *two = add_folder(2, "Two");
    hearth_sections_set_expanded(sections, two, true);
    for (int i = 0; i < 400; i++) {
        guint n = g_list_model_get_n_items(G_LIST_MODEL(history));
        int what = n ? test_range(0, 4) : 0;
        g_autoptr(HearthConversation) c =
            n ? g_list_model_get_item(G_LIST_MODEL(history), (guint)test_range(0, (int)n - 1))
              : NULL;
        guint at;
        if (what == 0) {
            add("new", noon - test_range(0, 400) * (DAY / 5));
        } else if (what == 1 && test_range(0, 1)) {
            g_list_store_find(history, c, &at);
            g_list_store_remove(history, at);
        } else if (what == 2) {
            c->pinned = !c->pinned;
            g_object_notify(G_OBJECT(c), "pinned");
        } else if (what == 3) {
            c->folder = test_range(0, 3);
            g_object_notify(G_OBJECT(c), "folder");
        } else if (what == 4) {
            g_list_store_find(history, c, &at);
            g_list_store_remove(history, at);
            c->updated = noon;
            g_list_store_insert(history, 0, c);
        }
        if (test_range(0, 2) == 0) {
            g_autofree char *checked = shown();
            CHECK(checked != NULL);
        }
    }
    end();
}

static void steps(void)
{
    begin();
    HearthConversation *a = add("a", noon), *b = add("b", noon - DAY), *c = add("c", noon - 2);
    add_folder(1, "Work");
    c->pinned = true;
    hearth_sections_refresh(sections); /* [Pinned] c [Folders] <Work> [Today] a [Yesterday] b */
    CHECK(hearth_sections_step(sections, c, 1) == a);
    CHECK(hearth_sections_step(sections, a, 1) == b);
    CHECK(hearth_sections_step(sections, b, 1) == NULL);
    CHECK(hearth_sections_step(sections, a, -1) == c);
    CHECK(hearth_sections_step(sections, c, -1) == NULL);
    CHECK(hearth_sections_step(sections, NULL, -1) == c);
    end();
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"remembers folders", remembers_folders},
                                 {"groups by date", dates},
                                 {"pins and folders", pins_and_folders},
                                 {"waits for the main loop", waits_for_the_main_loop},
                                 {"reports small changes as such", small_changes},
                                 {"its signals tell all", random_changes},
                                 {"steps from one to the next", steps}};
    setlocale(LC_ALL, "C.UTF-8");
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
