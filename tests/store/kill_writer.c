/* What test_kill.py kills: writes an answer as the program does, 100 tokens a second, a partial
 * every half second, and says on its output what it has "generated".
 *
 *   kill-writer FILE          writes until it is killed: lines "N µs" (monotonic)
 *   kill-writer --check FILE  opens as the next start does: "notice TEXT" or "refusal TEXT" if so,
 *                             then of each answer "STATE TEXT", the newest one last, then "end" */
#include <stdio.h>
#include <string.h>

#include "store/store.h"

#define TOKEN_MS 10
#define PARTIAL_MS 500

typedef struct {
    GMainLoop *loop;
    HearthStore *store;
    gint64 conversation, answer;
    GString *text;
    int n;
    bool check;
} Writer;

static gboolean on_token(gpointer data)
{
    Writer *w = data;
    gint64 now = g_get_monotonic_time();
    g_string_append_printf(w->text, "%d:%" G_GINT64_FORMAT " ", w->n, now);
    printf("%d %" G_GINT64_FORMAT "\n", w->n++, now);
    fflush(stdout);
    return G_SOURCE_CONTINUE;
}

static gboolean on_partial(gpointer data)
{
    Writer *w = data;
    hearth_store_write_partial(w->store, w->answer, HEARTH_STATE_ANSWERING, w->text->str, "hm");
    HearthConversationRow row = {.id = w->conversation,
                                 .title = "Killed",
                                 .head = w->answer,
                                 .draft = w->n % 3 ? "draft" : "",
                                 .updated = g_get_real_time()};
    hearth_store_put_conversation(w->store, &row);
    return G_SOURCE_CONTINUE;
}

static void begin(Writer *w)
{
    w->conversation = hearth_store_new_id(w->store);
    HearthConversationRow row = {.id = w->conversation, .title = "Killed"};
    hearth_store_put_conversation(w->store, &row);
    HearthMessageRow question = {.id = hearth_store_new_id(w->store),
                                 .conversation = w->conversation,
                                 .state = HEARTH_STATE_DONE,
                                 .content = "问题 question"};
    hearth_store_put_message(w->store, &question);
    w->answer = hearth_store_new_id(w->store);
    HearthMessageRow answer = {.id = w->answer,
                               .conversation = w->conversation,
                               .parent = question.id,
                               .role = HEARTH_ROLE_ASSISTANT,
                               .state = HEARTH_STATE_READING};
    hearth_store_put_message(w->store, &answer);
    g_timeout_add(TOKEN_MS, on_token, w);
    g_timeout_add(PARTIAL_MS, on_partial, w);
}

static void on_messages(GObject *source, GAsyncResult *result, void *data)
{
    Writer *w = data;
    g_autoptr(GPtrArray) messages =
        hearth_store_messages_finish(HEARTH_STORE(source), result, NULL);
    for (guint i = 0; messages && i < messages->len; i++) {
        HearthMessageRow *row = messages->pdata[i];
        if (row->role == HEARTH_ROLE_ASSISTANT) printf("%d %s\n", (int)row->state, row->content);
    }
    printf("end\n");
    g_main_loop_quit(w->loop);
}

/* The conversation with the highest id. */
static void on_overview(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(HearthOverview) overview =
        hearth_store_overview_finish(HEARTH_STORE(source), result, NULL);
    gint64 newest = 0;
    for (guint i = 0; overview && i < overview->conversations->len; i++)
        newest = MAX(newest, ((HearthConversationRow *)overview->conversations->pdata[i])->id);
    hearth_store_messages_async(HEARTH_STORE(source), newest, NULL, on_messages, data);
}

static void on_open(GObject *source, GAsyncResult *result, void *data)
{
    Writer *w = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *notice = NULL;
    if (!hearth_store_open_finish(HEARTH_STORE(source), result, &notice, &error))
        printf("refusal %s\n", error->message);
    if (notice) printf("notice %s\n", notice);
    if (w->check)
        hearth_store_overview_async(w->store, NULL, on_overview, w);
    else
        begin(w);
}

int main(int argc, char **argv)
{
    Writer w = {.check = argc > 2 && strcmp(argv[1], "--check") == 0};
    w.loop = g_main_loop_new(NULL, FALSE);
    w.text = g_string_new(NULL);
    w.store = hearth_store_new(argv[argc - 1]);
    hearth_store_open_async(w.store, on_open, &w);
    g_main_loop_run(w.loop);
    hearth_store_close(w.store, 10);
    g_object_unref(w.store);
    g_string_free(w.text, TRUE);
    g_main_loop_unref(w.loop);
    return 0;
}
