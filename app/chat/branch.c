/* What a person does with messages: send, regenerate, edit, go on, switch, delete. */
#include <string.h>

#include "chat/conversation_private.h"

#define TITLE_CHARS 60

static HearthMessage *last_of(HearthConversation *c)
{
    return c->branch->len ? c->branch->pdata[c->branch->len - 1] : NULL;
}

static gint64 parent_of(HearthMessage *message) { return hearth_message_get_row(message)->parent; }

static bool may_act(HearthConversation *c) { return c->history && c->loaded && !c->running; }

/* The first line, cut between words where that leaves most of it. */
static char *title_from(const char *text)
{
    while (g_unichar_isspace(g_utf8_get_char(text))) text = g_utf8_next_char(text);
    g_autofree char *line = g_strndup(text, strcspn(text, "\r\n"));
    g_strchomp(line);
    if (g_utf8_strlen(line, -1) <= TITLE_CHARS) return g_steal_pointer(&line);
    *g_utf8_offset_to_pointer(line, TITLE_CHARS) = '\0';
    char *blank = strrchr(line, ' ');
    if (blank && blank - line > TITLE_CHARS / 2) *blank = '\0';
    return g_strconcat(line, "…", NULL);
}

static void give_title(HearthConversation *c, const char *text)
{
    if (c->row.titled || *c->row.title) return;
    g_autofree char *line = title_from(text);
    g_free(c->row.title);
    c->row.title = hearth_name_clean(line);
    g_object_notify(G_OBJECT(c), "title");
}

static void ask(HearthConversation *c, gint64 parent)
{
    HearthMessage *answer = hearth_asking_add(c, parent, HEARTH_ROLE_ASSISTANT, "");
    hearth_conversation_show_branch(c, hearth_message_get_id(answer));
    hearth_asking_start(c, answer, false);
}

void hearth_conversation_send(HearthConversation *c, const char *text)
{
    if (!c->history || c->running || !*text) return;
    if (!c->loaded) { /* the messages are on their way */
        g_autofree char *before = g_steal_pointer(&c->unsent);
        c->unsent = before ? g_strconcat(before, "\n\n", text, NULL) : g_strdup(text);
        hearth_conversation_put(c);
        return;
    }
    hearth_conversation_set_draft(c, "");
    give_title(c, text);
    HearthMessage *last = last_of(c);
    HearthMessage *message =
        hearth_asking_add(c, last ? hearth_message_get_id(last) : 0, HEARTH_ROLE_USER, text);
    ask(c, hearth_message_get_id(message));
}

void hearth_conversation_stop(HearthConversation *c)
{
    if (c->job) hearth_job_stop(c->job);
}

void hearth_conversation_regenerate(HearthConversation *c, HearthMessage *answer)
{
    if (!may_act(c) || hearth_message_get_role(answer) != HEARTH_ROLE_ASSISTANT) return;
    ask(c, parent_of(answer));
}

void hearth_conversation_edit(HearthConversation *c, HearthMessage *message, const char *text)
{
    if (!may_act(c) || hearth_message_get_role(message) != HEARTH_ROLE_USER || !*text) return;
    HearthMessage *edited = hearth_asking_add(c, parent_of(message), HEARTH_ROLE_USER, text);
    ask(c, hearth_message_get_id(edited));
}

void hearth_conversation_go_on(HearthConversation *c, HearthMessage *answer)
{
    if (!may_act(c) || answer != last_of(c)) return;
    if (hearth_message_get_role(answer) != HEARTH_ROLE_ASSISTANT) return;
    hearth_asking_start(c, answer, true);
}

void hearth_conversation_switch_version(HearthConversation *c, HearthMessage *message, int by)
{
    if (!may_act(c) || by == 0) return;
    HearthMessage *other = hearth_tree_sibling(c->tree, message, by);
    if (!other) return;
    hearth_conversation_show_branch(c, hearth_message_get_id(other));
    hearth_conversation_put(c);
}

void hearth_conversation_delete_message(HearthConversation *c, HearthMessage *message)
{
    if (!c->history || !c->loaded) return;
    guint at, running;
    if (!g_ptr_array_find(c->branch, message, &at)) return;
    if (c->running && g_ptr_array_find(c->branch, c->running, &running) && running >= at) {
        /* Its end comes in a moment, to a message that is not shown; restoring shows it stopped. */
        hearth_job_stop(c->job);
    }
    HearthMessage *beside = hearth_tree_sibling(c->tree, message, -1);
    if (!beside) beside = hearth_tree_sibling(c->tree, message, 1);
    gint64 id = hearth_message_get_id(message);
    hearth_tree_hide(c->tree, id, true);
    hearth_conversation_show_branch(c, beside ? hearth_message_get_id(beside) : parent_of(message));
    hearth_store_delete(hearth_history_get_store(c->history), HEARTH_TABLE_MESSAGE, id);
    hearth_conversation_put(c);
}

void hearth_conversation_restore_message(HearthConversation *c, gint64 id)
{
    if (!c->history) return;
    hearth_store_restore(hearth_history_get_store(c->history), HEARTH_TABLE_MESSAGE, id);
    c->row.head = id;
    if (c->loaded) {
        guint at;
        /* An answer that is being written in sight stays in sight, beside what comes back. */
        bool beside = c->running && g_ptr_array_find(c->branch, c->running, &at);
        hearth_tree_hide(c->tree, id, false);
        if (!hearth_tree_find(c->tree, id)) { /* it was read after the deletion: read again */
            bool shown = c->shown;
            hearth_conversation_set_shown(c, false);
            if (shown) hearth_conversation_set_shown(c, true);
        } else {
            hearth_conversation_show_branch(c, beside ? hearth_message_get_id(c->running) : id);
        }
    }
    hearth_conversation_put(c);
}
