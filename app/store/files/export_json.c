#include <json-glib/json-glib.h>
#include <math.h>

#include "store/files/export.h"
#include "store/table/table.h"

/* {"format": "hearth-history", "version": 1,
 *  "folders": [{"id", "name"}], "personas": [{"id", "name", "prompt"}],
 *  "conversations": [{"id", "title", …, "messages": [{"id", "parent", "role", "state", …}]}]}
 * One element a line. import.c reads it. */

#define MESSAGES_AT_ONCE 200

static const char *const states[] = {
    [HEARTH_STATE_QUEUED] = "queued",
    [HEARTH_STATE_LOADING] = "loading",
    [HEARTH_STATE_READING] = "reading",
    [HEARTH_STATE_THINKING] = "thinking",
    [HEARTH_STATE_ANSWERING] = "answering",
    [HEARTH_STATE_DONE] = "done",
    [HEARTH_STATE_STOPPED] = "stopped",
    [HEARTH_STATE_LENGTH] = "length",
    [HEARTH_STATE_CONTEXT_FULL] = "context full",
    [HEARTH_STATE_FAILED] = "failed",
    [HEARTH_STATE_INTERRUPTED] = "interrupted",
};

const char *hearth_export_state_name(HearthState state)
{
    return state < G_N_ELEMENTS(states) ? states[state] : NULL;
}

const char *hearth_export_role_name(HearthRole role)
{
    return role == HEARTH_ROLE_USER ? "user" : role == HEARTH_ROLE_ASSISTANT ? "assistant" : NULL;
}

/* Takes the object. */
static void append_object(GString *out, JsonObject *object)
{
    g_autoptr(JsonNode) node = json_node_new(JSON_NODE_OBJECT);
    json_node_take_object(node, object);
    g_autoptr(JsonGenerator) generator = json_generator_new();
    json_generator_set_root(generator, node);
    json_generator_to_gstring(generator, out);
}

static void set_double(JsonObject *object, const char *name, double value)
{
    json_object_set_double_member(object, name, isfinite(value) ? value : 0);
}

/* Whether the export names this folder or persona; `column` is an offset in the row. */
static bool is_used(const GPtrArray *conversations, gint64 id, gsize column)
{
    for (guint i = 0; i < conversations->len; i++)
        if (*(gint64 *)((char *)conversations->pdata[i] + column) == id) return true;
    return false;
}

static int append_folders(HearthDb *db, const GPtrArray *conversations, bool all, GString *out)
{
    int rc;
    g_autoptr(GPtrArray) folders = hearth_table_folder_list(db, &rc);
    bool first = true;
    for (guint i = 0; !rc && i < folders->len; i++) {
        HearthFolderRow *row = folders->pdata[i];
        if (!all &&
            !is_used(conversations, row->id, G_STRUCT_OFFSET(HearthConversationRow, folder)))
            continue;
        JsonObject *object = json_object_new();
        json_object_set_int_member(object, "id", row->id);
        json_object_set_string_member(object, "name", row->name);
        g_string_append(out, first ? "\n" : ",\n");
        append_object(out, object);
        first = false;
    }
    return rc;
}

static int append_personas(HearthDb *db, const GPtrArray *conversations, bool all, GString *out)
{
    int rc;
    g_autoptr(GPtrArray) personas = hearth_table_persona_list(db, &rc);
    bool first = true;
    for (guint i = 0; !rc && i < personas->len; i++) {
        HearthPersonaRow *row = personas->pdata[i];
        if (!all &&
            !is_used(conversations, row->id, G_STRUCT_OFFSET(HearthConversationRow, persona)))
            continue;
        JsonObject *object = json_object_new();
        json_object_set_int_member(object, "id", row->id);
        json_object_set_string_member(object, "name", row->name);
        json_object_set_string_member(object, "prompt", row->prompt);
        g_string_append(out, first ? "\n" : ",\n");
        append_object(out, object);
        first = false;
    }
    return rc;
}

static int begin(HearthDb *db, const GPtrArray *conversations, bool all, GString *out)
{
    g_string_append(out, "{\"format\":\"hearth-history\",\"version\":1,\n\"folders\":[");
    int rc = append_folders(db, conversations, all, out);
    if (rc) return rc;
    g_string_append(out, "],\n\"personas\":[");
    rc = append_personas(db, conversations, all, out);
    g_string_append(out, "],\n\"conversations\":[");
    return rc;
}

/* Leaves the object open, with the messages to come. */
static int conversation(HearthDb *db, HearthExportPlace *place, bool is_first, GString *out)
{
    (void)db;
    const HearthConversationRow *row = place->row;
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", row->id);
    json_object_set_string_member(object, "title", row->title);
    json_object_set_boolean_member(object, "titled", row->titled);
    json_object_set_boolean_member(object, "pinned", row->pinned);
    json_object_set_int_member(object, "folder", row->folder);
    json_object_set_int_member(object, "persona", row->persona);
    json_object_set_int_member(object, "created", row->created);
    json_object_set_int_member(object, "updated", row->updated);
    json_object_set_int_member(object, "head", row->head);
    json_object_set_string_member(object, "draft", row->draft);
    json_object_set_string_member(object, "options", row->options);
    g_string_append(out, is_first ? "\n" : ",\n");
    append_object(out, object);
    g_string_truncate(out, out->len - 1); /* its } */
    g_string_append(out, ",\"messages\":[");
    return SQLITE_OK;
}

static void append_message(GString *out, const HearthMessageRow *row)
{
    JsonObject *stats = json_object_new();
    json_object_set_int_member(stats, "prompt_tokens", row->stats.prompt_tokens);
    json_object_set_int_member(stats, "reused_tokens", row->stats.reused_tokens);
    json_object_set_int_member(stats, "tokens", row->stats.tokens);
    set_double(stats, "prefill_s", row->stats.prefill_s);
    set_double(stats, "decode_s", row->stats.decode_s);
    set_double(stats, "first_token_s", row->stats.first_token_s);
    set_double(stats, "thinking_s", row->stats.thinking_s);
    JsonObject *object = json_object_new();
    json_object_set_int_member(object, "id", row->id);
    json_object_set_int_member(object, "parent", row->parent);
    json_object_set_string_member(object, "role", hearth_export_role_name(row->role));
    const char *state = hearth_export_state_name(row->state);
    json_object_set_string_member(object, "state", state ? state : "done");
    json_object_set_int_member(object, "created", row->created);
    json_object_set_string_member(object, "model", row->model);
    json_object_set_string_member(object, "error", row->error);
    json_object_set_string_member(object, "content", row->content);
    json_object_set_string_member(object, "thinking", row->thinking);
    json_object_set_object_member(object, "stats", stats);
    append_object(out, object);
}

static int messages(HearthDb *db, HearthExportPlace *place, bool *ret_more, GString *out)
{
    int rc;
    g_autoptr(GPtrArray) rows =
        hearth_table_message_list(db, place->row->id, place->after, MESSAGES_AT_ONCE, &rc);
    if (rc) return rc;
    for (guint i = 0; i < rows->len; i++) {
        const HearthMessageRow *row = rows->pdata[i];
        g_string_append(out, place->after ? ",\n" : "\n");
        append_message(out, row);
        place->after = row->id;
    }
    *ret_more = rows->len == MESSAGES_AT_ONCE;
    if (!*ret_more) g_string_append(out, "]}");
    return SQLITE_OK;
}

static void end(GString *out) { g_string_append(out, "]}\n"); }

const HearthExportFormatter hearth_export_json = {begin, conversation, messages, end};
