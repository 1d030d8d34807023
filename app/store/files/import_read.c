#include <glib/gi18n.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "store/files/export.h"
#include "store/files/import.h"
#include "store/files/scan.h"

#define LARGEST_FILE ((goffset)1 << 30)
#define LONGEST_NAME (64 << 10) /* bytes: titles, names, options, errors */
#define DEEPEST 8               /* conversations[] → messages[] → stats need 6 */
#define DEEPEST_OPTIONS 4

/* Why something cannot be taken: a part of a sentence, until it is known what is not taken. */
static bool refuse(GError **error, const char *detail)
{
    return hearth_error(error, HEARTH_ERROR_REFUSED, "%s", detail);
}

static bool refuse_file(GError **error, const char *detail)
{
    return hearth_error(error, HEARTH_ERROR_REFUSED,
                        _("This file is no chat history that Hearth can import: %s. Nothing was "
                          "imported."),
                        detail);
}

/* ---- members --------------------------------------------------------------------------------- */

/* An object of the file. The first member that is wrong is remembered. */
typedef struct {
    JsonObject *object;
    const char *wrong; /* name of a member, or NULL */
} Members;

static JsonNode *get(Members *m, const char *name, GType type)
{
    JsonNode *node = json_object_get_member(m->object, name);
    if (!node) return NULL;
    if (JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == type) return node;
    m->wrong = name;
    return NULL;
}

static gint64 get_number(Members *m, const char *name, gint64 least, gint64 most)
{
    JsonNode *node = get(m, name, G_TYPE_INT64);
    gint64 value = node ? json_node_get_int(node) : least;
    if (value >= least && value <= most) return value;
    m->wrong = name;
    return least;
}

/* The one member that cannot be left out. */
static gint64 get_id(Members *m)
{
    if (!json_object_has_member(m->object, "id")) m->wrong = "id";
    return get_number(m, "id", 1, G_MAXINT64);
}

static double get_double(Members *m, const char *name)
{
    JsonNode *node = json_object_get_member(m->object, name);
    bool whole =
        node && JSON_NODE_HOLDS_VALUE(node) && json_node_get_value_type(node) == G_TYPE_INT64;
    if (!whole) node = get(m, name, G_TYPE_DOUBLE);
    double value = node ? json_node_get_double(node) : 0;
    if (isfinite(value)) return value;
    m->wrong = name;
    return 0;
}

static bool get_bool(Members *m, const char *name)
{
    JsonNode *node = get(m, name, G_TYPE_BOOLEAN);
    return node && json_node_get_boolean(node);
}

static char *get_text(Members *m, const char *name, gsize longest)
{
    JsonNode *node = get(m, name, G_TYPE_STRING);
    const char *text = node ? json_node_get_string(node) : "";
    if (strlen(text) <= longest && g_utf8_validate(text, -1, NULL)) return g_strdup(text);
    m->wrong = name;
    return g_strdup("");
}

/* Of a thing: clean, so that a folder is known by it. */
static char *get_name_of(Members *m, const char *name)
{
    g_autofree char *text = get_text(m, name, LONGEST_NAME);
    return hearth_name_clean(text);
}

/* Index of the name in a list that a function tells, or `otherwise` without the member. */
static int get_name(Members *m, const char *name, const char *(*names)(int), int otherwise)
{
    JsonNode *node = get(m, name, G_TYPE_STRING);
    if (!node) return otherwise;
    for (int i = 0; i < 32; i++)
        if (g_strcmp0(names(i), json_node_get_string(node)) == 0) return i;
    m->wrong = name;
    return otherwise;
}

static const char *role_name(int i) { return hearth_export_role_name((HearthRole)i); }
static const char *state_name(int i) { return hearth_export_state_name((HearthState)i); }

/* ---- rows ------------------------------------------------------------------------------------ */

static HearthFolderRow *read_folder(Members *m)
{
    HearthFolderRow *row = g_new0(HearthFolderRow, 1);
    row->id = get_id(m);
    row->name = get_name_of(m, "name");
    return row;
}

static HearthPersonaRow *read_persona(Members *m)
{
    HearthPersonaRow *row = g_new0(HearthPersonaRow, 1);
    row->id = get_id(m);
    row->name = get_name_of(m, "name");
    row->prompt = get_text(m, "prompt", G_MAXINT32);
    return row;
}

static bool are_options(const char *text)
{
    HearthScan scan;
    if (!*text) return true;
    if (!hearth_scan_object(text, strlen(text), DEEPEST_OPTIONS, &scan)) return false;
    hearth_scan_clear(&scan);
    g_autoptr(JsonParser) parser = json_parser_new();
    return json_parser_load_from_data(parser, text, -1, NULL);
}

static HearthConversationRow *read_conversation_row(Members *m)
{
    HearthConversationRow *row = g_new0(HearthConversationRow, 1);
    row->id = get_id(m);
    row->title = get_name_of(m, "title");
    row->titled = get_bool(m, "titled");
    row->pinned = get_bool(m, "pinned");
    row->folder = get_number(m, "folder", 0, G_MAXINT64);
    row->persona = get_number(m, "persona", 0, G_MAXINT64);
    row->created = get_number(m, "created", 0, G_MAXINT64);
    row->updated = get_number(m, "updated", 0, G_MAXINT64);
    row->head = get_number(m, "head", 0, G_MAXINT64);
    row->draft = get_text(m, "draft", G_MAXINT32);
    row->options = get_text(m, "options", LONGEST_NAME);
    if (!are_options(row->options)) m->wrong = "options";
    return row;
}

static HearthStats read_stats(Members *of)
{
    JsonNode *node = json_object_get_member(of->object, "stats");
    if (!node) return (HearthStats){0};
    if (!JSON_NODE_HOLDS_OBJECT(node)) {
        of->wrong = "stats";
        return (HearthStats){0};
    }
    Members m = {json_node_get_object(node), NULL};
    HearthStats stats = {
        .prompt_tokens = (int)get_number(&m, "prompt_tokens", 0, G_MAXINT32),
        .reused_tokens = (int)get_number(&m, "reused_tokens", 0, G_MAXINT32),
        .tokens = (int)get_number(&m, "tokens", 0, G_MAXINT32),
        .prefill_s = get_double(&m, "prefill_s"),
        .decode_s = get_double(&m, "decode_s"),
        .first_token_s = get_double(&m, "first_token_s"),
        .thinking_s = get_double(&m, "thinking_s"),
    };
    if (m.wrong) of->wrong = m.wrong;
    return stats;
}

static HearthMessageRow *read_message(Members *m)
{
    HearthMessageRow *row = g_new0(HearthMessageRow, 1);
    row->id = get_id(m);
    row->parent = get_number(m, "parent", 0, G_MAXINT64);
    row->role = (HearthRole)get_name(m, "role", role_name, HEARTH_ROLE_USER);
    row->state = (HearthState)get_name(m, "state", state_name, HEARTH_STATE_DONE);
    if (hearth_state_is_running(row->state)) row->state = HEARTH_STATE_INTERRUPTED;
    row->created = get_number(m, "created", 0, G_MAXINT64);
    row->model = get_text(m, "model", LONGEST_NAME);
    row->error = get_text(m, "error", LONGEST_NAME);
    row->content = get_text(m, "content", G_MAXINT32);
    row->thinking = get_text(m, "thinking", G_MAXINT32);
    row->stats = read_stats(m);
    return row;
}

/* ---- what holds between rows ----------------------------------------------------------------- */

static int compare_messages(const HearthMessageRow **a, const HearthMessageRow **b)
{
    return (*a)->id < (*b)->id ? -1 : (*a)->id > (*b)->id;
}

/* The messages, which are sorted by id: parents are there, and no message is below itself. A head
 * that is not there is the newest message, as everywhere. */
static const char *check_tree(HearthImportedConversation *conversation)
{
    const GPtrArray *messages = conversation->messages;
    g_autoptr(GHashTable) index = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < messages->len; i++) {
        HearthMessageRow *row = messages->pdata[i];
        g_hash_table_insert(index, &row->id, GUINT_TO_POINTER(i));
    }
    gint64 *head = &conversation->row->head;
    if (*head && !g_hash_table_contains(index, head))
        *head = messages->len ? ((HearthMessageRow *)messages->pdata[messages->len - 1])->id : 0;
    g_autofree guint *walk = g_new0(guint, MAX(1, messages->len)); /* who came by, from 1 */
    for (guint i = 0; i < messages->len; i++) {
        gpointer at = GUINT_TO_POINTER(i);
        while (!walk[GPOINTER_TO_UINT(at)]) {
            walk[GPOINTER_TO_UINT(at)] = i + 1;
            const HearthMessageRow *row = messages->pdata[GPOINTER_TO_UINT(at)];
            if (!row->parent) break;
            if (!g_hash_table_lookup_extended(index, &row->parent, NULL, &at))
                return _("a message lacks the one before it");
            if (walk[GPOINTER_TO_UINT(at)] == i + 1) return _("a message follows itself");
        }
    }
    return NULL;
}

/* ---- elements -------------------------------------------------------------------------------- */

typedef struct {
    HearthImport *import;
    const char *text;
    HearthScan scan;
    GHashTable *folders, *personas, *conversations, *messages; /* ids that are taken */
} Reading;

/* One element, parsed. NULL: it is no object. */
static JsonParser *parse_element(const Reading *reading, const HearthExtent *extent, Members *ret)
{
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    if (!json_parser_load_from_data(parser, reading->text + extent->start, (gssize)extent->length,
                                    NULL))
        return NULL;
    JsonNode *root = json_parser_get_root(parser);
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) return NULL;
    *ret = (Members){json_node_get_object(root), NULL};
    return g_steal_pointer(&parser);
}

static bool check_row(const Members *m, GHashTable *taken, gint64 *id, GError **error)
{
    if (m->wrong) {
        g_autofree char *detail = g_strdup_printf(_("“%s” has a value that cannot be"), m->wrong);
        return refuse(error, detail);
    }
    return g_hash_table_add(taken, id) || refuse(error, _("it has an identity twice"));
}

static bool take_folder(Reading *reading, const HearthExtent *extent, GError **error)
{
    Members m;
    g_autoptr(JsonParser) parser = parse_element(reading, extent, &m);
    if (!parser) return refuse(error, _("a folder is not readable"));
    HearthFolderRow *row = read_folder(&m);
    g_ptr_array_add(reading->import->folders, row);
    return check_row(&m, reading->folders, &row->id, error);
}

static bool take_persona(Reading *reading, const HearthExtent *extent, GError **error)
{
    Members m;
    g_autoptr(JsonParser) parser = parse_element(reading, extent, &m);
    if (!parser) return refuse(error, _("a persona is not readable"));
    HearthPersonaRow *row = read_persona(&m);
    g_ptr_array_add(reading->import->personas, row);
    return check_row(&m, reading->personas, &row->id, error);
}

static bool take_messages(Reading *reading, HearthImportedConversation *conversation,
                          JsonArray *array, GError **error)
{
    guint n = array ? json_array_get_length(array) : 0;
    for (guint i = 0; i < n; i++) {
        JsonNode *node = json_array_get_element(array, i);
        if (!JSON_NODE_HOLDS_OBJECT(node)) return refuse(error, _("a message is not readable"));
        Members m = {json_node_get_object(node), NULL};
        HearthMessageRow *row = read_message(&m);
        g_ptr_array_add(conversation->messages, row);
        if (!check_row(&m, reading->messages, &row->id, error)) return false;
    }
    g_ptr_array_sort(conversation->messages, (GCompareFunc)compare_messages);
    const char *wrong = check_tree(conversation);
    return !wrong || refuse(error, wrong);
}

static bool take_conversation(Reading *reading, const HearthExtent *extent, GError **error)
{
    Members m;
    g_autoptr(JsonParser) parser = parse_element(reading, extent, &m);
    if (!parser) return refuse(error, _("a conversation is not readable"));
    HearthImportedConversation *conversation = g_new0(HearthImportedConversation, 1);
    conversation->messages =
        g_ptr_array_new_with_free_func((GDestroyNotify)hearth_message_row_free);
    g_ptr_array_add(reading->import->conversations, conversation);
    HearthConversationRow *row = conversation->row = read_conversation_row(&m);
    if (row->folder && !g_hash_table_contains(reading->folders, &row->folder)) m.wrong = "folder";
    if (row->persona && !g_hash_table_contains(reading->personas, &row->persona))
        m.wrong = "persona";
    JsonNode *messages = json_object_get_member(m.object, "messages");
    if (messages && !JSON_NODE_HOLDS_ARRAY(messages)) m.wrong = "messages";
    if (!check_row(&m, reading->conversations, &row->id, error)) return false;
    return take_messages(reading, conversation, messages ? json_node_get_array(messages) : NULL,
                         error);
}

static void forget(GHashTable *taken, gint64 *id)
{
    gpointer key;
    if (g_hash_table_lookup_extended(taken, id, &key, NULL) && key == id)
        g_hash_table_remove(taken, id);
}

/* One that is not sound is left out, and its ids are free again. */
static bool take_if_sound(Reading *reading, const HearthExtent *extent, GError **error)
{
    HearthImport *import = reading->import;
    guint had = import->conversations->len;
    g_autoptr(GError) why = NULL;
    (void)error;
    if (take_conversation(reading, extent, &why)) return true;
    if (import->left_out++ == 0) import->why = g_strdup(why->message);
    if (import->conversations->len == had) return true;
    HearthImportedConversation *conversation = import->conversations->pdata[had];
    forget(reading->conversations, &conversation->row->id);
    for (guint i = 0; i < conversation->messages->len; i++)
        forget(reading->messages, &((HearthMessageRow *)conversation->messages->pdata[i])->id);
    g_ptr_array_set_size(import->conversations, (int)had);
    return true;
}

static bool take_all(Reading *reading, const char *name,
                     bool (*take)(Reading *, const HearthExtent *, GError **), GError **error)
{
    GArray *extents = hearth_scan_get(&reading->scan, name);
    for (guint i = 0; extents && i < extents->len; i++)
        if (!take(reading, &g_array_index(extents, HearthExtent, i), error)) return false;
    return true;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Whether a top member is this very text. */
static bool top_is(const Reading *reading, const char *name, const char *want)
{
    GArray *extents = hearth_scan_get(&reading->scan, name);
    if (!extents || extents->len != 1) return false;
    const HearthExtent *extent = &g_array_index(extents, HearthExtent, 0);
    return extent->length == strlen(want) &&
           memcmp(reading->text + extent->start, want, extent->length) == 0;
}

static int compare_conversations(const HearthImportedConversation **a,
                                 const HearthImportedConversation **b)
{
    gint64 x = (*a)->row->updated, y = (*b)->row->updated;
    if (x == y) x = (*a)->row->id, y = (*b)->row->id;
    return x < y ? -1 : x > y;
}

static bool take_file(Reading *reading, GError **error)
{
    if (!top_is(reading, "format", "\"hearth-history\""))
        return refuse(error, _("it was not written by Hearth"));
    if (!top_is(reading, "version", "1"))
        return refuse(error, _("it was written by a newer version of Hearth"));
    if (!hearth_scan_get(&reading->scan, "conversations"))
        return refuse(error, _("it holds no conversations"));
    return take_all(reading, "folders", take_folder, error) &&
           take_all(reading, "personas", take_persona, error) &&
           take_all(reading, "conversations", take_if_sound, error) &&
           (!reading->import->left_out || reading->import->conversations->len ||
            refuse(error, reading->import->why));
}

static bool begins_with(const char *text, gsize length, char want)
{
    gsize at = 0;
    while (at < length && g_ascii_isspace(text[at])) at++;
    return at < length && text[at] == want;
}

static bool take_text(HearthImport *self, const char *text, gsize length, GError **error)
{
    Reading reading = {.import = self, .text = text};
    if (!g_utf8_validate_len(text, length, NULL)) return refuse(error, _("it is no text"));
    if (!hearth_scan_object(text, length, DEEPEST, &reading.scan))
        /* Other programs keep a list: JSON, too, but never ours. */
        return refuse(error, begins_with(text, length, '[') ? _("it was not written by Hearth")
                                                            : _("it is no JSON, or was cut off"));
    reading.folders = g_hash_table_new(g_int64_hash, g_int64_equal);
    reading.personas = g_hash_table_new(g_int64_hash, g_int64_equal);
    reading.conversations = g_hash_table_new(g_int64_hash, g_int64_equal);
    reading.messages = g_hash_table_new(g_int64_hash, g_int64_equal);
    bool ok = take_file(&reading, error);
    g_hash_table_unref(reading.folders);
    g_hash_table_unref(reading.personas);
    g_hash_table_unref(reading.conversations);
    g_hash_table_unref(reading.messages);
    hearth_scan_clear(&reading.scan);
    g_ptr_array_sort(self->conversations, (GCompareFunc)compare_conversations);
    return ok;
}

bool hearth_import_parse(HearthImport *self, const char *text, gsize length, GError **error)
{
    g_autoptr(GError) why = NULL;
    return take_text(self, text, length, &why) || refuse_file(error, why->message);
}

bool hearth_import_read(HearthImport *self, GCancellable *cancellable, GError **error)
{
    g_autoptr(GFileInfo) info = g_file_query_info(self->file, G_FILE_ATTRIBUTE_STANDARD_SIZE,
                                                  G_FILE_QUERY_INFO_NONE, cancellable, error);
    if (!info) return false;
    if (g_file_info_get_size(info) > LARGEST_FILE) return refuse_file(error, _("it is too large"));
    g_autofree char *text = NULL;
    gsize length;
    if (!g_file_load_contents(self->file, cancellable, &text, &length, NULL, error)) return false;
    return hearth_import_parse(self, text, length, error);
}
