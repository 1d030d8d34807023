#include "fixture.h"
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

static void cleans_names(void)
{
    g_autofree char *many = g_strnfill(300, 'x'), *most = g_strnfill(HEARTH_NAME_MOST, 'x');
    g_autoptr(GString) wide = g_string_new(NULL), wide_most = g_string_new(NULL);
    for (int i = 0; i < 300; i++) g_string_append(wide, "字");
    for (int i = 0; i < HEARTH_NAME_MOST; i++) g_string_append(wide_most, "字");
    const struct {
        const char *text, *clean;
    } cases[] = {
        {NULL, ""},
        {" \n ", ""},
        {"a  b", "a  b"},
        {" a\r\nb\tc\x01\x7f ", "a b c"},
        {"a\xe2\x80\xa8"
         "b\xc2\x85"
         "c",
         "a b c"},
        {many, most},
        {wide->str, wide_most->str},
    };
    Fixture f;
    fixture_init(&f);
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *clean = hearth_name_clean(cases[i].text);
        CHECK_STR(clean, cases[i].clean);
        g_autofree char *again = hearth_name_clean(clean);
        CHECK_STR(again, clean);
    }
    gint64 c = fixture_conversation(&f, wide->str);
    fixture_folder(&f, many);
    fixture_persona(&f, "a\nb", "a\nb");
    fixture_wait(&f);
    g_autofree char *stored = outside(f.path, "SELECT max(length(title)) FROM conversation");
    CHECK_STR(stored, G_STRINGIFY(HEARTH_NAME_MOST));
    fixture_close(&f);
    g_autofree char *sql = g_strdup_printf("UPDATE conversation SET title = 'needle %s'", many);
    g_free(outside(f.path, sql)); /* as another program or an older version wrote it */
    fixture_open(&f);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK_INT(g_utf8_strlen(find_conversation(overview, c)->title, -1), HEARTH_NAME_MOST);
    CHECK_STR(((HearthFolderRow *)overview->folders->pdata[0])->name, most);
    CHECK_STR(((HearthPersonaRow *)overview->personas->pdata[0])->name, "a b");
    CHECK_STR(((HearthPersonaRow *)overview->personas->pdata[0])->prompt, "a\nb");
    g_autoptr(GPtrArray) hits = fixture_search(&f, "needle", 10);
    CHECK(hits->len == 1 && strlen(((HearthHit *)hits->pdata[0])->title) < 250);
    fixture_clear(&f);
}

static void hands_out_ids_that_are_free(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 last = 0;
    for (int i = 0; i < 5; i++) last = fixture_conversation(&f, "first");
    Fixture other = {.folder = f.folder, .path = f.path}; /* a second program */
    fixture_open(&other);
    for (int i = 0; i < 5; i++) {
        gint64 mine = fixture_conversation(&f, "first");
        CHECK(mine > last && mine != fixture_conversation(&other, "second"));
    }
    fixture_wait(&f);
    g_autoptr(HearthOverview) both = fixture_overview(&other);
    CHECK_INT(both->conversations->len, 15);
    fixture_close(&other);
    fixture_close(&f);
    HearthStore *closed = hearth_store_new(f.path); /* not open yet */
    gint64 early = hearth_store_new_id(closed);
    for (guint i = 0; i < both->conversations->len; i++)
        CHECK(((HearthConversationRow *)both->conversations->pdata[i])->id != early);
    hearth_store_close(closed, 0);
    g_object_unref(closed);
    g_free(outside(f.path, "INSERT INTO conversation (id) VALUES (9223372036854775807)"));
    fixture_open(&f);
    gint64 next = fixture_conversation(&f, "after the last of all ids");
    CHECK(next > early);
    fixture_clear(&f);
}

static void understands_any_time(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fixture_conversation(&f, "c");
    fixture_message(&f, c, 0, HEARTH_ROLE_USER, "m");
    fixture_close(&f);
    g_free(outside(f.path, "UPDATE conversation SET updated = -9000000000000000000,"
                           " created = 9000000000000000000;"));
    g_free(outside(f.path, "UPDATE message SET created = -9000000000000000000"));
    fixture_open(&f);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    HearthConversationRow *row = find_conversation(overview, c);
    g_autoptr(GPtrArray) messages = fixture_messages(&f, c);
    CHECK_INT(row->updated, 0);
    CHECK_INT(((HearthMessageRow *)messages->pdata[0])->created, 0);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(row->created / G_USEC_PER_SEC);
    CHECK(time);
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
    CHECK_INT(got->stats.prompt_tokens, 1);
    CHECK_INT(got->stats.reused_tokens, 2);
    CHECK_INT(got->stats.tokens, 3);
    CHECK(got->stats.prefill_s == 0.25 && got->stats.decode_s == 0.5);
    CHECK(got->stats.first_token_s == 0.75 && got->stats.thinking_s == 1.5);
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

/* A partial that follows a whole message must not slip in before it. */
static void keeps_the_order_of_partials(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 conversation = fixture_conversation(&f, "c");
    HearthMessageRow row = {.id = hearth_store_new_id(f.store), .conversation = conversation};
    for (int i = 0; i < 100; i++) {
        row.state = HEARTH_STATE_ANSWERING;
        row.content = "";
        hearth_store_put_message(f.store, &row);
        hearth_store_write_partial(f.store, row.id, HEARTH_STATE_ANSWERING, "a", "");
        row.state = HEARTH_STATE_DONE;
        row.content = "whole";
        hearth_store_put_message(f.store, &row);
        if (i % 2) hearth_store_write_partial(f.store, row.id, HEARTH_STATE_ANSWERING, "go on", "");
        g_autoptr(GPtrArray) messages = fixture_messages(&f, conversation);
        CHECK_STR(find_message(messages, row.id)->content, i % 2 ? "go on" : "whole");
        CHECK_INT(find_message(messages, row.id)->state,
                  i % 2 ? HEARTH_STATE_ANSWERING : HEARTH_STATE_DONE);
    }
    fixture_clear(&f);
}

/* Nobody reads: it must be on the disk by itself, soon. */
static void partials_are_durable_soon(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 conversation = fixture_conversation(&f, "c");
    HearthMessageRow row = {.id = hearth_store_new_id(f.store), .conversation = conversation};
    hearth_store_put_message(f.store, &row);
    hearth_store_write_partial(f.store, row.id, HEARTH_STATE_ANSWERING, "so far", "");
    gint64 began = g_get_monotonic_time();
    g_autofree char *got = NULL;
    while (g_strcmp0(got, "so far") != 0 && g_get_monotonic_time() < began + 5000000) {
        g_usleep(20000);
        g_free(got);
        got = outside(f.path, "SELECT content FROM message");
    }
    CHECK_STR(got, "so far");
    CHECK_MSG(g_get_monotonic_time() - began < 900000, "it took %d ms",
              (int)((g_get_monotonic_time() - began) / 1000));
    fixture_clear(&f);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void lists_in_order(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 ids[3];
    for (int i = 0; i < 3; i++) {
        HearthConversationRow row = {.id = hearth_store_new_id(f.store), .updated = 100 + i % 2};
        hearth_store_put_conversation(f.store, &row);
        ids[i] = row.id;
    }
    fixture_folder(&f, "zebra");
    fixture_folder(&f, "Berry");
    fixture_folder(&f, "apple");
    fixture_persona(&f, "b", "");
    fixture_persona(&f, "A", "");
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    HearthConversationRow **rows = (HearthConversationRow **)overview->conversations->pdata;
    CHECK_INT(rows[0]->id, ids[1]);
    CHECK_INT(rows[1]->id, ids[2]);
    CHECK_INT(rows[2]->id, ids[0]);
    CHECK_INT(overview->folders->len, 3);
    CHECK_STR(((HearthFolderRow *)overview->folders->pdata[2])->name, "zebra");
    CHECK_STR(((HearthPersonaRow *)overview->personas->pdata[0])->name, "A");
    fixture_clear(&f);
}

/* ---- deleting -------------------------------------------------------------------------------- */

static void deletes_conversations(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 a = fixture_conversation(&f, "a"), b = fixture_conversation(&f, "b");
    gint64 first = fixture_message(&f, a, 0, HEARTH_ROLE_USER, "first");
    gint64 gone = fixture_message(&f, a, first, HEARTH_ROLE_ASSISTANT, "second");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, gone);
    hearth_store_delete(f.store, HEARTH_TABLE_CONVERSATION, a);
    g_autoptr(HearthOverview) without = fixture_overview(&f);
    CHECK(!find_conversation(without, a) && find_conversation(without, b));
    HearthConversationRow late = {.id = a,
                                  .title = "late"}; /* its last write does not bring it back */
    hearth_store_put_conversation(f.store, &late);
    fixture_close(&f);
    fixture_open(&f);
    g_autoptr(HearthOverview) still = fixture_overview(&f);
    CHECK(!find_conversation(still, a));
    hearth_store_restore(f.store, HEARTH_TABLE_CONVERSATION, a);
    g_autoptr(HearthOverview) again = fixture_overview(&f);
    CHECK_STR(find_conversation(again, a)->title, "late");
    g_autoptr(GPtrArray) messages = fixture_messages(&f, a);
    CHECK_INT(messages->len, 1); /* what was deleted before stays deleted */
    fixture_clear(&f);
}

static void check_there(Fixture *f, gint64 conversation, const gint64 *ids, int n, const char *want)
{
    g_autoptr(GPtrArray) messages = fixture_messages(f, conversation);
    g_autoptr(GString) got = g_string_new(NULL);
    for (int i = 0; i < n; i++) g_string_append_c(got, find_message(messages, ids[i]) ? '1' : '0');
    CHECK_STR(got->str, want);
}

/*  0 ─ 1 ─ 2 ─ 3
 *      └─ 4 ─ 5     and 6 in another conversation */
static void deletes_messages_with_all_below(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 c = fixture_conversation(&f, "c"), other = fixture_conversation(&f, "other"), m[7];
    static const int parents[] = {-1, 0, 1, 2, 1, 4};
    for (int i = 0; i < 6; i++)
        m[i] = fixture_message(&f, c, parents[i] < 0 ? 0 : m[parents[i]], i % 2, "x");
    m[6] = fixture_message(&f, other, 0, HEARTH_ROLE_USER, "x");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, m[3]);
    check_there(&f, c, m, 6, "111011");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, m[1]);
    check_there(&f, c, m, 6, "100000");
    check_there(&f, other, m, 7, "0000001");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, m[4]); /* is already: changes nothing */
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, m[4]);
    check_there(&f, c, m, 6, "100000");
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, m[1]);
    check_there(&f, c, m, 6, "111011");
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, m[1]);
    check_there(&f, c, m, 6, "111011");
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, m[3]);
    check_there(&f, c, m, 6, "111111");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, m[4]); /* in one transaction */
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, m[4]);
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, m[2]);
    check_there(&f, c, m, 6, "110011");
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, 0);
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, 0);
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, 123456);
    check_there(&f, c, m, 6, "110011");
    fixture_clear(&f);
}

static void deletes_deep_trees(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 c = fixture_conversation(&f, "deep"), at = 0, first = 0;
    for (int i = 0; i < 10000; i++) {
        at = fixture_message(&f, c, at, i % 2, "x");
        if (!first) first = at;
    }
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, first);
    g_autoptr(GPtrArray) none = fixture_messages(&f, c);
    CHECK_INT(none->len, 0);
    hearth_store_restore(f.store, HEARTH_TABLE_MESSAGE, first);
    g_autoptr(GPtrArray) all = fixture_messages(&f, c);
    CHECK_INT(all->len, 10000);
    fixture_clear(&f);
}

static void deletes_folders(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 folder = fixture_folder(&f, "Work"), other = fixture_folder(&f, "Other");
    gint64 c[4];
    for (int i = 0; i < 4; i++) {
        HearthConversationRow row = {.id = hearth_store_new_id(f.store),
                                     .folder = i < 3 ? folder : other};
        hearth_store_put_conversation(f.store, &row);
        c[i] = row.id;
    }
    hearth_store_delete(f.store, HEARTH_TABLE_FOLDER, folder);
    g_autoptr(HearthOverview) without = fixture_overview(&f);
    CHECK_INT(without->folders->len, 1);
    CHECK_INT(find_conversation(without, c[0])->folder, 0);
    CHECK_INT(find_conversation(without, c[3])->folder, other);
    HearthConversationRow written = {.id = c[1], .title = "as the window knows it: nowhere"};
    hearth_store_put_conversation(f.store, &written);
    HearthConversationRow moved = {.id = c[2], .folder = other};
    hearth_store_put_conversation(f.store, &moved);
    hearth_store_restore(f.store, HEARTH_TABLE_FOLDER, folder);
    g_autoptr(HearthOverview) again = fixture_overview(&f);
    CHECK_INT(again->folders->len, 2);
    CHECK_INT(find_conversation(again, c[0])->folder, folder);
    CHECK_INT(find_conversation(again, c[1])->folder, folder);
    CHECK_INT(find_conversation(again, c[2])->folder, other);
    CHECK_INT(find_conversation(again, c[3])->folder, other);
    fixture_clear(&f);
}

static void deletes_personas(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 persona = fixture_persona(&f, "p", "prompt");
    HearthConversationRow row = {.id = hearth_store_new_id(f.store), .persona = persona};
    hearth_store_put_conversation(f.store, &row);
    hearth_store_delete(f.store, HEARTH_TABLE_PERSONA, persona);
    g_autoptr(HearthOverview) without = fixture_overview(&f);
    CHECK_INT(without->personas->len, 0);
    hearth_store_restore(f.store, HEARTH_TABLE_PERSONA, persona);
    g_autoptr(HearthOverview) again = fixture_overview(&f);
    CHECK_INT(again->personas->len, 1);
    CHECK_INT(find_conversation(again, row.id)->persona, persona);
    fixture_clear(&f);
}

/* Waits until the background has done it. */
static void wait_until(Fixture *f, const char *sql, const char *want)
{
    g_autofree char *got = NULL;
    for (int i = 0; i < 500; i++) {
        g_free(got);
        got = outside(f->path, sql);
        if (g_strcmp0(got, want) == 0) return;
        fixture_wait(f);
        g_usleep(20000);
    }
    CHECK_MSG(false, "%s is %s, not %s", sql, got, want);
}

static void keeps_what_is_not_sent(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fixture_conversation(&f, "c"), other = fixture_conversation(&f, "other");
    gint64 message = fixture_message(&f, c, 0, HEARTH_ROLE_USER, "question");
    gint64 file = fixture_put_unsent(&f, c, 0, "a.txt", "text of a\n");
    gint64 removed = fixture_put_unsent(&f, c, 0, "b.txt", "text of b");
    gint64 edit = fixture_put_unsent(&f, c, message, NULL, "first");
    HearthUnsentRow again = {edit, c, message, NULL, "question, but better"};
    hearth_store_put_unsent(f.store, &again);
    hearth_store_delete(f.store, HEARTH_TABLE_UNSENT, removed);
    fixture_put_unsent(&f, 123, 0, "x", "of no conversation");
    fixture_put_unsent(&f, c, 123, "", "of no message");
    for (int round = 0; round < 2; round++) {
        g_autoptr(GPtrArray) rows = fixture_unsent(&f, c);
        CHECK_INT(rows->len, 2);
        HearthUnsentRow *one = rows->pdata[0], *two = rows->pdata[1];
        CHECK(one->id == file && one->conversation == c && one->message == 0);
        CHECK_STR(one->name, "a.txt");
        CHECK_STR(one->content, "text of a\n");
        CHECK(two->id == edit && two->message == message);
        CHECK_STR(two->content, "question, but better");
        g_autoptr(HearthOverview) overview = fixture_overview(&f);
        CHECK(find_conversation(overview, c)->unsent);
        CHECK(!find_conversation(overview, other)->unsent);
        CHECK_INT(f.n_trouble, 0);
        fixture_close(&f);
        fixture_open(&f);
        CHECK(hearth_store_new_id(f.store) > edit);
    }
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, message);
    hearth_store_delete(f.store, HEARTH_TABLE_CONVERSATION, other);
    fixture_put_unsent(&f, other, 0, "gone.txt", "");
    fixture_close(&f);
    g_free(outside(f.path, "UPDATE message SET deleted_at = 5 WHERE deleted_at > 0;"
                           "UPDATE conversation SET deleted_at = 5 WHERE deleted_at > 0"));
    fixture_open(&f);
    wait_until(&f, "SELECT group_concat(name) FROM unsent", "a.txt");
    fixture_clear(&f);
}

static void purges_after_thirty_days(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 old = fixture_conversation(&f, "old"), young = fixture_conversation(&f, "young");
    gint64 kept = fixture_conversation(&f, "kept"), folder = fixture_folder(&f, "folder");
    HearthConversationRow row = {.id = kept, .title = "kept", .folder = folder};
    hearth_store_put_conversation(f.store, &row);
    for (int i = 0; i < 450; i++) {
        fixture_message(&f, old, 0, HEARTH_ROLE_USER, "old");
        fixture_message(&f, young, 0, HEARTH_ROLE_USER, "young");
    }
    gint64 first = fixture_message(&f, kept, 0, HEARTH_ROLE_USER, "kept");
    gint64 message = fixture_message(&f, kept, first, HEARTH_ROLE_USER, "old");
    hearth_store_delete(f.store, HEARTH_TABLE_CONVERSATION, old);
    hearth_store_delete(f.store, HEARTH_TABLE_CONVERSATION, young);
    hearth_store_delete(f.store, HEARTH_TABLE_MESSAGE, message);
    hearth_store_delete(f.store, HEARTH_TABLE_FOLDER, folder);
    fixture_close(&f);
    g_autofree char *sql = g_strdup_printf(
        "UPDATE conversation SET deleted_at = deleted_at - 2592001000000 WHERE id = "
        "%" G_GINT64_FORMAT ";UPDATE conversation SET deleted_at = deleted_at - 2591000000000 "
        "WHERE id = %" G_GINT64_FORMAT
        ";UPDATE message SET deleted_at = deleted_at - 2592001000000 WHERE deleted_at > 0;"
        "UPDATE folder SET deleted_at = 5 WHERE deleted_at > 0",
        old, young);
    g_free(outside(f.path, sql));
    fixture_open(&f);
    wait_until(&f, "SELECT count(*) FROM conversation", "2");
    wait_until(&f, "SELECT count(*) FROM message", "451");
    wait_until(&f, "SELECT count(*) FROM folder", "0");
    wait_until(&f, "PRAGMA freelist_count", "0");
    g_autofree char *check =
        outside(f.path, "INSERT INTO message_index (message_index, rank) VALUES"
                        " ('integrity-check', 0); SELECT 'sound'");
    CHECK_STR(check, "sound");
    hearth_store_restore(f.store, HEARTH_TABLE_CONVERSATION, young);
    hearth_store_restore(f.store, HEARTH_TABLE_CONVERSATION, old);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK(find_conversation(overview, young) && find_conversation(overview, kept));
    CHECK(!find_conversation(overview, old));
    fixture_clear(&f);
}

/* ---- odd things ------------------------------------------------------------------------------ */

static void bears_what_others_write(void)
{
    Fixture f;
    fixture_init(&f);
    fixture_close(&f);
    g_free(outside(f.path,
                   "INSERT INTO conversation (title) VALUES ('from outside');"
                   "INSERT INTO message (conversation, content, role, state) VALUES"
                   " (1, 'a' || char(0) || 'b', 7, 99), (1, CAST(x'61ff62' AS TEXT), 1, -5);"
                   "INSERT INTO conversation (title, folder) VALUES ('nowhere', 4711)"));
    fixture_open(&f);
    CHECK(!f.notice && !f.refusal);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK_STR(find_conversation(overview, 1)->title, "from outside");
    CHECK(find_conversation(overview, 1)->created > 1500000000000000);
    CHECK_INT(find_conversation(overview, 2)->folder, 0);
    g_autoptr(GPtrArray) messages = fixture_messages(&f, 1);
    CHECK_INT(messages->len, 2);
    for (guint i = 0; i < messages->len; i++) {
        HearthMessageRow *row = messages->pdata[i];
        CHECK(g_utf8_validate(row->content, -1, NULL));
        CHECK(row->role == HEARTH_ROLE_USER || row->role == HEARTH_ROLE_ASSISTANT);
        CHECK(row->state >= 0 && row->state <= HEARTH_STATE_INTERRUPTED);
    }
    CHECK(hearth_store_new_id(f.store) > 2);
    fixture_clear(&f);
}

static void keeps_messages_without_conversation(void)
{
    Fixture f;
    fixture_init_memory(&f);
    gint64 id = hearth_store_new_id(f.store);
    fixture_message(&f, id, 0, HEARTH_ROLE_USER, "early");
    HearthConversationRow row = {.id = id, .title = "late"};
    hearth_store_put_conversation(f.store, &row);
    g_autoptr(GPtrArray) messages = fixture_messages(&f, id);
    CHECK_INT(messages->len, 1);
    g_autoptr(HearthOverview) overview = fixture_overview(&f);
    CHECK_STR(find_conversation(overview, id)->title, "late");
    fixture_clear(&f);
}

static void on_answer(GObject *source, GAsyncResult *result, void *data)
{
    (void)source;
    *(GAsyncResult **)data = g_object_ref(result);
}

static void cancels(void)
{
    Fixture f;
    fixture_init_memory(&f);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    GAsyncResult *result = NULL;
    hearth_store_overview_async(f.store, cancellable, on_answer, &result);
    g_cancellable_cancel(cancellable);
    while (!result) g_main_context_iteration(NULL, TRUE);
    g_autoptr(GError) error = NULL;
    HearthOverview *overview = hearth_store_overview_finish(f.store, result, &error);
    CHECK(!overview && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    g_object_unref(result);
    fixture_clear(&f);
}

/* Whatever is on its way at the end gets an answer, and writes are not lost. */
static void closes_in_the_middle(void)
{
    Fixture f;
    fixture_init(&f);
    gint64 c = fixture_conversation(&f, "c");
    GAsyncResult *result = NULL, *late = NULL;
    for (int i = 0; i < 2000; i++) fixture_message(&f, c, 0, HEARTH_ROLE_USER, "x");
    hearth_store_search_async(f.store, "x", 10, NULL, on_answer, &result);
    for (int i = 0; i < 2000; i++) fixture_message(&f, c, 0, HEARTH_ROLE_USER, "x");
    hearth_store_close(f.store, 10);
    hearth_store_overview_async(f.store, NULL, on_answer, &late);
    while (!result || !late) g_main_context_iteration(NULL, TRUE);
    g_autoptr(GError) error = NULL;
    CHECK(!hearth_store_overview_finish(f.store, late, &error));
    CHECK(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
    g_object_unref(result);
    g_object_unref(late);
    fixture_close(&f);
    fixture_open(&f);
    g_autoptr(GPtrArray) messages = fixture_messages(&f, c);
    CHECK_INT(messages->len, 4000);
    fixture_clear(&f);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"keeps conversations", keeps_conversations},
        {"cleans names", cleans_names},
        {"hands out ids that are free", hands_out_ids_that_are_free},
        {"understands any time", understands_any_time},
        {"keeps what is not sent", keeps_what_is_not_sent},
        {"keeps messages", keeps_messages},
        {"writes partial answers", writes_partial_answers},
        {"keeps the order of partials", keeps_the_order_of_partials},
        {"partials are durable soon", partials_are_durable_soon},
        {"lists in order", lists_in_order},
        {"deletes conversations", deletes_conversations},
        {"deletes messages with all below", deletes_messages_with_all_below},
        {"deletes deep trees", deletes_deep_trees},
        {"deletes folders", deletes_folders},
        {"deletes personas", deletes_personas},
        {"purges after thirty days", purges_after_thirty_days},
        {"bears what others write", bears_what_others_write},
        {"keeps messages without conversation", keeps_messages_without_conversation},
        {"cancels", cancels},
        {"closes in the middle", closes_in_the_middle},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
