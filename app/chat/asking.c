/* Asking for an answer, and taking it in as it is written. */
#include <string.h>

#include "chat/conversation_private.h"

#include "chat/options.h"

#define SAVE_MS 500

HearthMessage *hearth_asking_add(HearthConversation *c, gint64 parent, HearthRole role,
                                 const char *text)
{
    HearthStore *store = hearth_history_get_store(c->history);
    HearthMessageRow row = {
        .id = hearth_store_new_id(store),
        .conversation = c->row.id,
        .parent = parent,
        .role = role,
        .state = role == HEARTH_ROLE_USER ? HEARTH_STATE_DONE : HEARTH_STATE_QUEUED,
        .content = (char *)text,
        .created = g_get_real_time(),
    };
    g_autoptr(HearthMessage) message = hearth_message_new(&row);
    hearth_tree_add(c->tree, message);
    if (!c->stored) hearth_conversation_put(c); /* before what refers to it */
    hearth_store_put_message(store, hearth_message_get_row(message));
    return message;
}

/* ---- the request ----------------------------------------------------------------------------- */

/* Its own system prompt, else its persona's, else the program's; g_free(). */
static char *system_prompt(HearthConversation *c)
{
    GSettings *own = hearth_conversation_get_settings(c);
    g_autoptr(GVariant) value = own ? g_settings_get_user_value(own, "system-prompt") : NULL;
    if (value) return g_variant_dup_string(value, NULL);
    HearthPersona *persona = hearth_history_find_persona(c->history, c->row.persona);
    if (persona) return g_strdup(hearth_persona_get_prompt(persona));
    return g_settings_get_string(hearth_history_get_defaults(c->history), "system-prompt");
}

/* What a failed or empty answer leaves is nothing to show the model. */
static bool says_something(HearthMessage *message)
{
    const HearthMessageRow *row = hearth_message_get_row(message);
    return row->role == HEARTH_ROLE_USER || *row->content || *row->thinking;
}

/* Two messages of the person in a row (the answer between them failed or was deleted) become one:
 * many templates refuse anything but turns. */
static void add_turn(HearthRequest *request, const HearthMessageRow *row)
{
    if (row->role == HEARTH_ROLE_ASSISTANT) {
        hearth_request_add(request, "assistant", row->content,
                           *row->thinking ? row->thinking : NULL);
        return;
    }
    guint n = request->turns->len;
    HearthTurn *last = n ? request->turns->pdata[n - 1] : NULL;
    if (last && strcmp(last->role, "user") == 0) {
        char *both = g_strconcat(last->content, "\n\n", row->content, NULL);
        g_free(last->content);
        last->content = both;
    } else {
        hearth_request_add(request, "user", row->content, NULL);
    }
}

static HearthRequest *make_request(HearthConversation *c, HearthMessage *answer, bool goes_on)
{
    HearthRequest *request = hearth_request_new();
    g_autofree char *system = system_prompt(c);
    if (*system) hearth_request_add(request, "system", system, NULL);
    for (guint i = 0; i < c->branch->len; i++) {
        HearthMessage *message = c->branch->pdata[i];
        if (message == answer && !goes_on) break;
        if (says_something(message)) add_turn(request, hearth_message_get_row(message));
        if (message == answer) break;
    }
    request->conversation = c->row.id;
    request->goes_on = goes_on && says_something(answer);
    hearth_options_fill(request, hearth_conversation_get_settings(c),
                        hearth_history_get_defaults(c->history),
                        hearth_message_get_version(answer));
    return request;
}

/* ---- the running answer ---------------------------------------------------------------------- */

static size_t bytes_of(HearthMessage *message)
{
    return hearth_message_edit_content(message)->len + hearth_message_edit_thinking(message)->len;
}

static gboolean save(void *data)
{
    HearthConversation *c = data;
    if (!c->history) return G_SOURCE_CONTINUE; /* deleted, and the program ends */
    HearthState state = hearth_message_get_state(c->running);
    size_t bytes = bytes_of(c->running);
    if (bytes == c->saved_bytes && state == c->saved_state) return G_SOURCE_CONTINUE;
    const HearthMessageRow *row = hearth_message_get_row(c->running);
    hearth_store_write_partial(hearth_history_get_store(c->history), row->id, state, row->content,
                               row->thinking);
    c->saved_bytes = bytes;
    c->saved_state = state;
    return G_SOURCE_CONTINUE;
}

static HearthStats sum(const HearthStats *before, HearthStats now)
{
    now.tokens += before->tokens;
    now.decode_s += before->decode_s;
    now.thinking_s += before->thinking_s;
    if (before->tokens > 0) {
        now.prompt_tokens = before->prompt_tokens;
        now.reused_tokens = before->reused_tokens;
        now.prefill_s = before->prefill_s;
        now.first_token_s = before->first_token_s;
    }
    return now;
}

static void take_end(HearthConversation *c, HearthState state)
{
    g_autoptr(HearthMessage) answer = g_steal_pointer(&c->running);
    g_autoptr(HearthJob) job = g_steal_pointer(&c->job);
    g_signal_handlers_disconnect_by_data(job, c);
    g_clear_handle_id(&c->save_timer, g_source_remove);
    const GError *error = hearth_job_get_error(job);
    HearthStats stats = sum(&c->before, hearth_job_get_stats(job));
    hearth_message_set_stats(answer, &stats);
    hearth_message_set_error(answer, error ? error->message : NULL);
    hearth_message_set_state(answer, state);
    hearth_store_put_message(hearth_history_get_store(c->history), hearth_message_get_row(answer));
    if (!c->shown) hearth_conversation_set_unread(c, true);
    hearth_conversation_updated(c);
    hearth_conversation_busy_changed(c);
    if (!c->shown) hearth_conversation_set_shown(c, false);
}

void hearth_asking_settle(HearthConversation *c)
{
    if (!c->job || !c->history) return;
    g_autoptr(HearthConversation) alive = g_object_ref(c);
    (void)alive; /* for its end alone */
    GString *content = hearth_message_edit_content(c->running);
    GString *thinking = hearth_message_edit_thinking(c->running);
    size_t had = content->len, had_thinking = thinking->len;
    HearthState state = hearth_job_get_state(c->job);
    hearth_job_take_text(c->job, content, thinking);
    hearth_message_set_model(c->running, hearth_job_get_model(c->job));
    gint64 done, total;
    double left;
    hearth_job_get_progress(c->job, &done, &total, &left);
    if (hearth_state_is_running(state)) hearth_message_set_state(c->running, state);
    hearth_message_set_progress(c->running, done, total, left);
    hearth_message_touched(c->running, content->len > had, thinking->len > had_thinking);
    if (!hearth_state_is_running(state)) take_end(c, state);
}

void hearth_asking_start(HearthConversation *c, HearthMessage *answer, bool goes_on)
{
    c->before = goes_on ? hearth_message_get_stats(answer) : (HearthStats){0};
    c->running = g_object_ref(answer);
    c->saved_bytes = bytes_of(answer);
    c->saved_state = HEARTH_STATE_QUEUED;
    hearth_message_set_error(answer, NULL);
    hearth_message_set_progress(answer, 0, 0, -1);
    hearth_message_set_state(answer, HEARTH_STATE_QUEUED);
    c->job = hearth_worker_submit(hearth_history_get_worker(c->history),
                                  make_request(c, answer, goes_on));
    g_signal_connect_swapped(c->job, "changed", G_CALLBACK(hearth_asking_settle), c);
    c->save_timer = g_timeout_add(SAVE_MS, save, c);
    hearth_conversation_updated(c);
    hearth_conversation_busy_changed(c);
    hearth_asking_settle(c);
}
