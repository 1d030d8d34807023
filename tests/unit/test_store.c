#include "store_helper.h"
#include "test.h"

/* ---- rows ------------------------------------------------------------------------------------ */

static void keeps_conversations(void)
{
    Fixture f;
    fixture_init(&f);
    CHECK(!f.notice && !f.refusal);
    gint64 folder = fixture_folder(&f, "Work");
    gint64 persona = fixture_persona(&f, "Pirate", "Arr.\n\xe2\x98\xa0");
    HearthConversationRow row = {.id = hearth_store_new_id(f.store),
                                 .title = "\xe4\xbd\xa0\xe5\xa5\xbd 'quoted'",
                                 .titled = true,
                                 .pinned = true,
                                 .folder = folder,
                                 .created = 1234567890123456,
                                 .updated = 1234567890123457,
                                 .head = 77,
                                 .draft = "typed\nand not sent",
                                 .options = "{\"temperature\":0.5}",
                                 .persona = persona};
    hearth_store_put_conversation(f.store, &row);
    for (int round = 0; round < 2; round++) { /* in the same process, and from the disk */
        g_autoptr(HearthOverview) overview = fixture_overview(&f);
        CHECK_INT(overview->conversations->len, 1);
        HearthConversationRow *got = find_conversation(overview, row.id);
        CHECK(got);
        if (!got) break;
        CHECK_STR(got->title, row.title);
        CHECK_STR(got->draft, row.draft);
        CHECK_STR(got->options, row.options);
        CHECK(got->titled && got->pinned);
        CHECK_INT(got->folder, folder);
        CHECK_INT(got->persona, persona);
        CHECK_INT(got->created, row.created);
        CHECK_INT(got->updated, row.updated);
        CHECK_INT(got->head, row.head);
        CHECK_INT(overview->folders->len, 1);
        CHECK_STR(((HearthFolderRow *)overview->folders->pdata[0])->name, "Work");
        CHECK_INT(overview->personas->len, 1);
        CHECK_STR(((HearthPersonaRow *)overview->personas->pdata[0])->prompt, "Arr.\n\xe2\x98\xa0");
        if (round) break;
        fixture_close(&f);
        fixture_open(&f);
    }
    CHECK(hearth_store_new_id(f.store) > row.id);
    fixture_clear(&f);
}

static void keeps_messages(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 conversation = fixture_conversation(&f, "c");
    HearthMessageRow row = {.id = hearth_store_new_id(f.store),
                            .conversation = conversation,
                            .parent = 5,
                            .role = HEARTH_ROLE_ASSISTANT,
                            .state = HEARTH_STATE_FAILED,
                            .content = "text",
                            .thinking = "thought",
                            .model = "Ember",
                            .error = "It broke.",
                            .created = 99,
                            .stats = {1, 2, 3, 0.25, 0.5, 0.75, 1.5}};
    hearth_store_put_message(f.store, &row);
    HearthMessageRow empty = {.id = hearth_store_new_id(f.store), .conversation = conversation};
    hearth_store_put_message(f.store, &empty);
    row.content = "other text"; /* put again: replaced */
    hearth_store_put_message(f.store, &row);
    g_autoptr(GPtrArray) messages = fixture_messages(&f, conversation);
    CHECK_INT(messages->len, 2);
    HearthMessageRow *got = messages->pdata[0];
    CHECK_INT(got->id, row.id);
    CHECK_INT(got->conversation, conversation);
    CHECK_INT(got->parent, 5);
    CHECK_INT(got->role, HEARTH_ROLE_ASSISTANT);
    CHECK_INT(got->state, HEARTH_STATE_FAILED);
    CHECK_STR(got->content, "other text");
    CHECK_STR(got->thinking, "thought");
    CHECK_STR(got->model, "Ember");
    CHECK_STR(got->error, "It broke.");
    CHECK_INT(got->created, 99);
    CHECK(memcmp(&got->stats, &row.stats, sizeof row.stats) == 0);
    got = messages->pdata[1];
    CHECK_INT(got->id, empty.id);
    CHECK_STR(got->content, "");
    fixture_clear(&f);
}

/* ---- partial answers ------------------------------------------------------------------------- */

static void writes_partial_answers(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 conversation = fixture_conversation(&f, "c");
    HearthMessageRow row = {.id = hearth_store_new_id(f.store), .conversation = conversation};
    hearth_store_put_message(f.store, &row);
    for (int i = 0; i < 1000; i++) {
        g_autofree char *text = g_strdup_printf("answer %d", i);
        hearth_store_write_partial(f.store, row.id, HEARTH_STATE_ANSWERING, text, "t");
    }
    hearth_store_write_partial(f.store, 4711, HEARTH_STATE_ANSWERING, "of no message", "");
    g_autoptr(GPtrArray) messages = fixture_messages(&f, conversation);
    HearthMessageRow *got = find_message(messages, row.id);
    CHECK_STR(got->content, "answer 999");
    CHECK_STR(got->thinking, "t");
    CHECK_INT(got->state, HEARTH_STATE_ANSWERING);
    fixture_close(&f);
    fixture_open(&f);
    g_autoptr(GPtrArray) later = fixture_messages(&f, conversation);
    got = find_message(later, row.id);
    CHECK_STR(got->content, "answer 999");
    CHECK_INT(got->state, HEARTH_STATE_INTERRUPTED);
    fixture_clear(&f);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"keeps conversations", keeps_conversations},
        {"keeps messages", keeps_messages},
        {"writes partial answers", writes_partial_answers},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
