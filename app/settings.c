#include "settings.h"

#define G_SETTINGS_ENABLE_BACKEND
#include <gio/gsettingsbackend.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "error.h"

#define PATH "/io/github/hearth_ai/Hearth/"
#define CHAT_PATH PATH "chat/"
#define DELAY_MS 500

/* The file behind the program's settings; it lives as long as the settings object. */
typedef struct {
    GFile *file;
    GKeyFile *keys;     /* what is in the file, also what no schema knows */
    GSettings *sets[2]; /* the program's and the chat defaults; not owned: they own this */
    const char *groups[2];
    guint timer;        /* a change waits to be written */
    GPtrArray *waiting; /* of GTask: want the next write; those of the write that runs: */
    GPtrArray *in_write;
    bool writing, again; /* a write runs; another one is due after it */
} Keeper;

static const char KEEPER[] = "hearth-settings-keeper";

/* ---- finding the schemas --------------------------------------------------------------------- */

static char *program_folder(void)
{
#ifdef G_OS_WIN32
    return g_win32_get_package_installation_directory_of_module(NULL);
#else
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    return program ? g_path_get_dirname(program) : g_strdup(".");
#endif
}

static GSettingsSchema *look_up(const char *id)
{
    GSettingsSchemaSource *source = g_settings_schema_source_get_default();
    GSettingsSchema *schema = source ? g_settings_schema_source_lookup(source, id, TRUE) : NULL;
    if (schema) return schema;
    /* Not installed: the build folder, or a folder that was moved as a whole. */
    static const char *const beside[] = {"../data", "../../data", "../share/glib-2.0/schemas",
                                         "share/glib-2.0/schemas"};
    g_autofree char *folder = program_folder();
    for (size_t i = 0; i < G_N_ELEMENTS(beside) && !schema; i++) {
        g_autofree char *path = g_build_filename(folder, beside[i], NULL);
        GSettingsSchemaSource *one =
            g_settings_schema_source_new_from_directory(path, source, FALSE, NULL);
        if (!one) continue;
        schema = g_settings_schema_source_lookup(one, id, FALSE);
        g_settings_schema_source_unref(one);
    }
    return schema;
}

static GSettings *open_schema(const char *id, const char *path, GError **error)
{
    g_autoptr(GSettingsSchema) schema = look_up(id);
    if (!schema) {
        hearth_error(error, HEARTH_ERROR_FAILED,
                     "The settings schema %s is not installed: install Hearth again, or set "
                     "GSETTINGS_SCHEMA_DIR to the folder with gschemas.compiled.",
                     id);
        return NULL;
    }
    g_autoptr(GSettingsBackend) backend = g_memory_settings_backend_new();
    return g_settings_new_full(schema, backend, path);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* False when the schema has no such key or refuses the value: the setting keeps its default. */
static bool take(GSettings *settings, const char *key, GVariant *value)
{
    g_autoptr(GSettingsSchema) schema = NULL;
    g_object_get(settings, "settings-schema", &schema, NULL);
    g_autoptr(GVariant) held = g_variant_ref_sink(value);
    if (!g_settings_schema_has_key(schema, key)) return false;
    g_autoptr(GSettingsSchemaKey) about = g_settings_schema_get_key(schema, key);
    return g_variant_is_of_type(held, g_settings_schema_key_get_value_type(about)) &&
           g_settings_schema_key_range_check(about, held) &&
           g_settings_set_value(settings, key, held);
}

/* The type string of a key, or NULL when the schema does not have it. */
static char *type_of(GSettings *settings, const char *key)
{
    g_autoptr(GSettingsSchema) schema = NULL;
    g_object_get(settings, "settings-schema", &schema, NULL);
    if (!g_settings_schema_has_key(schema, key)) return NULL;
    g_autoptr(GSettingsSchemaKey) about = g_settings_schema_get_key(schema, key);
    return g_variant_type_dup_string(g_settings_schema_key_get_value_type(about));
}

static char **keys_of(GSettings *settings)
{
    g_autoptr(GSettingsSchema) schema = NULL;
    g_object_get(settings, "settings-schema", &schema, NULL);
    return g_settings_schema_list_keys(schema);
}

GVariant *hearth_settings_effective(GSettings *own, GSettings *defaults, const char *key)
{
    GVariant *value = own ? g_settings_get_user_value(own, key) : NULL;
    return value ? value : g_settings_get_value(defaults, key);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void read_group(Keeper *k, int i)
{
    g_auto(GStrv) names = g_key_file_get_keys(k->keys, k->groups[i], NULL, NULL);
    for (char **name = names; name && *name; name++) {
        g_autofree char *text = g_key_file_get_value(k->keys, k->groups[i], *name, NULL);
        g_autofree char *type = type_of(k->sets[i], *name);
        GVariant *value =
            text && type ? g_variant_parse(G_VARIANT_TYPE(type), text, NULL, NULL, NULL) : NULL;
        if (value) take(k->sets[i], *name, value);
    }
}

static char *compose(Keeper *k, gsize *ret_length)
{
    for (size_t i = 0; i < G_N_ELEMENTS(k->sets); i++) {
        g_auto(GStrv) names = keys_of(k->sets[i]);
        for (char **name = names; *name; name++) {
            g_autoptr(GVariant) value = g_settings_get_user_value(k->sets[i], *name);
            if (value) {
                g_autofree char *text = g_variant_print(value, FALSE);
                g_key_file_set_value(k->keys, k->groups[i], *name, text);
            } else {
                g_key_file_remove_key(k->keys, k->groups[i], *name, NULL);
            }
        }
    }
    return g_key_file_to_data(k->keys, ret_length, NULL);
}

static gboolean write_soon(void *data);
static void write_now(Keeper *k);

static GPtrArray *tasks_new(void) { return g_ptr_array_new_with_free_func(g_object_unref); }

/* A folder that cannot be written shows itself in the history, whose store says so; settings are
 * tried again with the next change. */
static void written(GObject *file, GAsyncResult *result, void *data)
{
    g_autoptr(GSettings) owner = data;
    Keeper *k = g_object_get_data(G_OBJECT(owner), KEEPER);
    g_autoptr(GPtrArray) done = g_steal_pointer(&k->in_write);
    g_file_replace_contents_finish(G_FILE(file), result, NULL, NULL);
    k->writing = false;
    if (k->waiting->len)
        write_now(k);
    else if (k->again && !k->timer)
        k->timer = g_timeout_add(DELAY_MS, write_soon, k);
    k->again = false;
    for (guint i = 0; i < done->len; i++) g_task_return_boolean(done->pdata[i], TRUE);
}

static void write_now(Keeper *k)
{
    g_clear_handle_id(&k->timer, g_source_remove);
    gsize n;
    char *text = compose(k, &n);
    g_autoptr(GBytes) bytes = g_bytes_new_take(text, n);
    k->writing = true;
    k->in_write = g_steal_pointer(&k->waiting);
    k->waiting = tasks_new();
    g_file_replace_contents_bytes_async(k->file, bytes, NULL, FALSE, G_FILE_CREATE_PRIVATE, NULL,
                                        written, g_object_ref(k->sets[0]));
}

static gboolean write_soon(void *data)
{
    Keeper *k = data;
    k->timer = 0;
    if (k->writing)
        k->again = true;
    else
        write_now(k);
    return G_SOURCE_REMOVE;
}

void hearth_settings_save_async(GSettings *settings, GAsyncReadyCallback done, void *data)
{
    Keeper *k = g_object_get_data(G_OBJECT(settings), KEEPER);
    g_ptr_array_add(k->waiting, g_task_new(settings, NULL, done, data));
    if (!k->writing) write_now(k);
}

static void changed(GSettings *settings, const char *key, Keeper *k)
{
    (void)settings;
    (void)key;
    if (!k->timer) k->timer = g_timeout_add(DELAY_MS, write_soon, k);
}

void hearth_settings_flush(GSettings *settings)
{
    Keeper *k = g_object_get_data(G_OBJECT(settings), KEEPER);
    if (!k) return;
    /* A write on its way is older than this one: it must not end after it. */
    while (k->writing) g_main_context_iteration(NULL, TRUE);
    g_clear_handle_id(&k->timer, g_source_remove);
    gsize n;
    g_autofree char *text = compose(k, &n);
    g_autofree char *path = g_file_get_path(k->file);
    g_file_set_contents_full(path, text, (gssize)n, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
}

static void keeper_free(void *data)
{
    Keeper *k = data;
    g_clear_handle_id(&k->timer, g_source_remove);
    g_signal_handlers_disconnect_by_data(k->sets[1], k);
    g_object_unref(k->file);
    g_key_file_unref(k->keys);
    g_ptr_array_unref(k->waiting);
    g_object_unref(k->sets[1]);
    g_free(k);
}

bool hearth_settings_open(const char *path, GSettings **ret_settings, GSettings **ret_chat,
                          GError **error)
{
    g_autoptr(GSettings) settings = open_schema(HEARTH_SETTINGS_SCHEMA, PATH, error);
    g_autoptr(GSettings) chat =
        settings ? open_schema(HEARTH_SETTINGS_CHAT_SCHEMA, CHAT_PATH, error) : NULL;
    if (!chat) return false;
    Keeper *k = g_new0(Keeper, 1);
    *k = (Keeper){.file = g_file_new_for_path(path),
                  .keys = g_key_file_new(),
                  .sets = {settings, g_object_ref(chat)},
                  .groups = {"hearth", "chat"},
                  .waiting = tasks_new()};
    g_key_file_load_from_file(k->keys, path, G_KEY_FILE_KEEP_COMMENTS, NULL);
    for (int i = 0; i < 2; i++) {
        read_group(k, i);
        g_signal_connect(k->sets[i], "changed", G_CALLBACK(changed), k);
    }
    g_object_set_data_full(G_OBJECT(settings), KEEPER, k, keeper_free);
    *ret_settings = g_steal_pointer(&settings);
    *ret_chat = g_steal_pointer(&chat);
    return true;
}

/* ---- conversations --------------------------------------------------------------------------- */

GSettings *hearth_settings_of_conversation(const char *json)
{
    GSettings *settings = open_schema(HEARTH_SETTINGS_CHAT_SCHEMA, CHAT_PATH, NULL);
    if (!settings) return NULL;
    g_autoptr(JsonNode) root = json && *json ? json_from_string(json, NULL) : NULL;
    if (!root || !JSON_NODE_HOLDS_OBJECT(root)) return settings;
    JsonObjectIter iter;
    const char *key;
    JsonNode *node;
    json_object_iter_init(&iter, json_node_get_object(root));
    while (json_object_iter_next(&iter, &key, &node)) {
        g_autofree char *type = type_of(settings, key);
        GVariant *value = type ? json_gvariant_deserialize(node, type, NULL) : NULL;
        if (value) take(settings, key, value);
    }
    return settings;
}

char *hearth_settings_to_json(GSettings *settings)
{
    g_autoptr(JsonObject) object = json_object_new();
    g_auto(GStrv) names = keys_of(settings);
    for (char **name = names; *name; name++) {
        g_autoptr(GVariant) value = g_settings_get_user_value(settings, *name);
        if (!value) continue;
        json_object_set_member(object, *name, json_gvariant_serialize(value));
    }
    if (json_object_get_size(object) == 0) return g_strdup("");
    g_autoptr(JsonNode) root = json_node_alloc();
    json_node_init_object(root, object);
    return json_to_string(root, FALSE);
}
