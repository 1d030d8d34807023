#include "chat/conversation_private.h"
#include "chat/named.h"

struct _HearthHistory {
    GObject parent_instance;
    HearthStore *store;
    HearthWorker *worker;
    GSettings *defaults;
    GPtrArray *list;           /* of HearthConversation, updated last first */
    HearthConversation *fresh; /* new, not in the list yet; or NULL */
    GListStore *folders, *personas;
    GHashTable *emptied; /* folder id → GArray of the conversations that were in it */
    guint changes;       /* deleted, restored, named: an overview from before is outdated */
    bool ready, failed;
};

static void list_model_init(GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(HearthHistory, hearth_history, G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(G_TYPE_LIST_MODEL, list_model_init))

enum { PROP_READY = 1 };
static guint failed_signal;

static GType get_item_type(GListModel *list)
{
    (void)list;
    return HEARTH_TYPE_CONVERSATION;
}

static guint get_n_items(GListModel *list) { return HEARTH_HISTORY(list)->list->len; }

static void *get_item(GListModel *list, guint at)
{
    GPtrArray *all = HEARTH_HISTORY(list)->list;
    return at < all->len ? g_object_ref(all->pdata[at]) : NULL;
}

static void list_model_init(GListModelInterface *iface)
{
    iface->get_item_type = get_item_type;
    iface->get_n_items = get_n_items;
    iface->get_item = get_item;
}

/* ---- the list -------------------------------------------------------------------------------- */

static void take_out(HearthHistory *h, guint at)
{
    g_ptr_array_remove_index(h->list, at);
    g_list_model_items_changed(G_LIST_MODEL(h), at, 1, 0);
}

static void put_in(HearthHistory *h, HearthConversation *c)
{
    gint64 updated = hearth_conversation_get_updated(c);
    guint at = 0;
    while (at < h->list->len && hearth_conversation_get_updated(h->list->pdata[at]) > updated) at++;
    g_ptr_array_insert(h->list, (gint)at, g_object_ref(c));
    g_list_model_items_changed(G_LIST_MODEL(h), at, 0, 1);
}

void hearth_history_placed(HearthHistory *h, HearthConversation *c)
{
    g_autoptr(HearthConversation) alive = g_object_ref(c);
    (void)alive; /* for its end alone */
    guint at;
    if (c == h->fresh) {
        g_clear_object(&h->fresh);
        put_in(h, c);
    } else if (g_ptr_array_find(h->list, c, &at)) {
        gint64 updated = hearth_conversation_get_updated(c);
        if (at > 0 && hearth_conversation_get_updated(h->list->pdata[at - 1]) < updated) {
            take_out(h, at);
            put_in(h, c);
        }
    }
}

HearthConversation *hearth_history_find(HearthHistory *h, gint64 id)
{
    if (h->fresh && hearth_conversation_get_id(h->fresh) == id) return h->fresh;
    for (guint i = 0; i < h->list->len; i++)
        if (hearth_conversation_get_id(h->list->pdata[i]) == id) return h->list->pdata[i];
    return NULL;
}

HearthConversation *hearth_history_new_conversation(HearthHistory *h, gint64 folder)
{
    if (!h->fresh) h->fresh = hearth_conversation_new(h, NULL);
    hearth_conversation_set_folder(h->fresh, folder);
    return h->fresh;
}

void hearth_history_delete(HearthHistory *h, HearthConversation *c)
{
    guint at;
    if (!g_ptr_array_find(h->list, c, &at)) return;
    g_autoptr(HearthConversation) alive = g_object_ref(c);
    (void)alive; /* for its end alone */
    hearth_conversation_stop(c);
    hearth_store_delete(h->store, HEARTH_TABLE_CONVERSATION, hearth_conversation_get_id(c));
    h->changes++;
    take_out(h, at);
}

void hearth_history_restore(HearthHistory *h, HearthConversation *c)
{
    if (hearth_history_find(h, hearth_conversation_get_id(c))) return;
    hearth_store_restore(h->store, HEARTH_TABLE_CONVERSATION, hearth_conversation_get_id(c));
    h->changes++;
    put_in(h, c);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* A draft that was emptied again leaves a row with nothing in it. */
static bool is_empty(const HearthConversationRow *row)
{
    return row->head == 0 && !row->titled && !row->unsent && !(row->draft && *row->draft) &&
           !(row->title && *row->title);
}

static HearthFolder *find_folder(HearthHistory *h, gint64 id)
{
    GListModel *all = G_LIST_MODEL(h->folders);
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(all, i);
        if (hearth_folder_get_id(folder) == id) return folder;
    }
    return NULL;
}

HearthPersona *hearth_history_find_persona(HearthHistory *h, gint64 id)
{
    GListModel *all = G_LIST_MODEL(h->personas);
    for (guint i = 0; id && i < g_list_model_get_n_items(all); i++) {
        g_autoptr(HearthPersona) persona = g_list_model_get_item(all, i);
        if (hearth_persona_get_id(persona) == id) return persona;
    }
    return NULL;
}

/* What is known stays the same object: somebody may hold it. */
static void take_folders(HearthHistory *h, const GPtrArray *rows)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_object_unref);
    for (guint i = 0; i < rows->len; i++) {
        const HearthFolderRow *row = rows->pdata[i];
        HearthFolder *known = find_folder(h, row->id);
        if (known) hearth_named_folder_set(known, row->name);
        g_ptr_array_add(all,
                        known ? g_object_ref(known) : hearth_named_folder_new(row->id, row->name));
    }
    guint had = g_list_model_get_n_items(G_LIST_MODEL(h->folders));
    g_list_store_splice(h->folders, 0, had, all->pdata, all->len);
}

static void take_personas(HearthHistory *h, const GPtrArray *rows)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_object_unref);
    for (guint i = 0; i < rows->len; i++) {
        const HearthPersonaRow *row = rows->pdata[i];
        HearthPersona *known = hearth_history_find_persona(h, row->id);
        if (known) hearth_named_persona_set(known, row->name, row->prompt);
        g_ptr_array_add(all, known ? g_object_ref(known)
                                   : hearth_named_persona_new(row->id, row->name, row->prompt));
    }
    guint had = g_list_model_get_n_items(G_LIST_MODEL(h->personas));
    g_list_store_splice(h->personas, 0, had, all->pdata, all->len);
}

static void take_overview(HearthHistory *h, const HearthOverview *overview)
{
    guint had = h->list->len;
    for (guint i = 0; i < overview->conversations->len; i++) {
        const HearthConversationRow *row = overview->conversations->pdata[i];
        if (had && hearth_history_find(h, row->id)) continue;
        if (is_empty(row)) {
            hearth_store_delete(h->store, HEARTH_TABLE_CONVERSATION, row->id);
        } else if (had) {
            g_autoptr(HearthConversation) c = hearth_conversation_new(h, row);
            put_in(h, c);
        } else {
            g_ptr_array_add(h->list, hearth_conversation_new(h, row));
        }
    }
    if (!had && h->list->len) g_list_model_items_changed(G_LIST_MODEL(h), 0, 0, h->list->len);
    take_folders(h, overview->folders);
    take_personas(h, overview->personas);
}

/* An overview that is on its way. */
typedef struct {
    HearthHistory *history;
    guint changes; /* when it was asked for */
} Overview;

static void overview_came(GObject *store, GAsyncResult *result, void *data)
{
    Overview *asked = data;
    g_autoptr(HearthHistory) h = asked->history;
    guint changes = asked->changes;
    g_free(asked);
    g_autoptr(GError) error = NULL;
    g_autoptr(HearthOverview) overview =
        hearth_store_overview_finish(HEARTH_STORE(store), result, &error);
    if (!overview || h->failed) g_signal_emit(h, failed_signal, 0, error ? error->message : NULL);
    h->failed = !overview;
    if (!overview) return;
    if (changes != h->changes) { /* it would take back what was done since */
        hearth_history_load(h);
        return;
    }
    take_overview(h, overview);
    if (h->ready) return;
    h->ready = true;
    g_object_notify(G_OBJECT(h), "ready");
}

void hearth_history_load(HearthHistory *h)
{
    Overview *asked = g_new(Overview, 1);
    *asked = (Overview){g_object_ref(h), h->changes};
    hearth_store_overview_async(h->store, NULL, overview_came, asked);
}

void hearth_history_settle(HearthHistory *h)
{
    g_autoptr(GPtrArray) all = g_ptr_array_copy(h->list, (GCopyFunc)(void *)g_object_ref, NULL);
    g_ptr_array_set_free_func(all, g_object_unref);
    if (h->fresh) g_ptr_array_add(all, g_object_ref(h->fresh)); /* its draft */
    for (guint i = 0; i < all->len; i++) {
        hearth_asking_settle(all->pdata[i]);
        hearth_conversation_put_waiting(all->pdata[i]);
    }
}

bool hearth_history_is_ready(HearthHistory *h) { return h->ready; }
HearthStore *hearth_history_get_store(HearthHistory *h) { return h->store; }
HearthWorker *hearth_history_get_worker(HearthHistory *h) { return h->worker; }
GSettings *hearth_history_get_defaults(HearthHistory *h) { return h->defaults; }
GListModel *hearth_history_get_folders(HearthHistory *h) { return G_LIST_MODEL(h->folders); }
GListModel *hearth_history_get_personas(HearthHistory *h) { return G_LIST_MODEL(h->personas); }

/* ---- folders and personas -------------------------------------------------------------------- */

static int by_name(const void *a, const void *b, void *data)
{
    (void)data;
    g_autofree char *one = NULL, *other = NULL;
    g_object_get((void *)a, "name", &one, NULL);
    g_object_get((void *)b, "name", &other, NULL);
    return g_utf8_collate(one, other);
}

static void sort(GListStore *list) { g_list_store_sort(list, by_name, NULL); }

static void remove_from(GListStore *list, void *item)
{
    guint at;
    if (g_list_store_find(list, item, &at)) g_list_store_remove(list, at);
}

static void put_folder(HearthHistory *h, HearthFolder *folder)
{
    HearthFolderRow row = {hearth_folder_get_id(folder), (char *)hearth_folder_get_name(folder)};
    h->changes++;
    hearth_store_put_folder(h->store, &row);
}

HearthFolder *hearth_history_add_folder(HearthHistory *h, const char *name)
{
    g_autoptr(HearthFolder) folder = hearth_named_folder_new(hearth_store_new_id(h->store), name);
    put_folder(h, folder);
    g_list_store_insert_sorted(h->folders, folder, by_name, NULL);
    return folder;
}

void hearth_history_rename_folder(HearthHistory *h, HearthFolder *folder, const char *name)
{
    hearth_named_folder_set(folder, name);
    put_folder(h, folder);
    sort(h->folders);
}

void hearth_history_delete_folder(HearthHistory *h, HearthFolder *folder)
{
    gint64 id = hearth_folder_get_id(folder);
    GArray *inside = g_array_new(FALSE, FALSE, sizeof(gint64));
    h->changes++;
    hearth_store_delete(h->store, HEARTH_TABLE_FOLDER, id);
    for (guint i = 0; i < h->list->len; i++) {
        HearthConversation *c = h->list->pdata[i];
        if (hearth_conversation_get_folder(c) != id) continue;
        gint64 one = hearth_conversation_get_id(c);
        g_array_append_val(inside, one);
        hearth_conversation_set_folder(c, 0);
    }
    g_hash_table_insert(h->emptied, g_object_ref(folder), inside);
    remove_from(h->folders, folder);
}

void hearth_history_restore_folder(HearthHistory *h, HearthFolder *folder)
{
    GArray *inside = g_hash_table_lookup(h->emptied, folder);
    if (!inside) return;
    h->changes++;
    hearth_store_restore(h->store, HEARTH_TABLE_FOLDER, hearth_folder_get_id(folder));
    g_list_store_insert_sorted(h->folders, folder, by_name, NULL);
    for (guint i = 0; i < inside->len; i++) {
        HearthConversation *c = hearth_history_find(h, g_array_index(inside, gint64, i));
        if (c) hearth_conversation_set_folder(c, hearth_folder_get_id(folder));
    }
    g_hash_table_remove(h->emptied, folder);
}

static void put_persona(HearthHistory *h, HearthPersona *persona)
{
    HearthPersonaRow row = {hearth_persona_get_id(persona),
                            (char *)hearth_persona_get_name(persona),
                            (char *)hearth_persona_get_prompt(persona)};
    h->changes++;
    hearth_store_put_persona(h->store, &row);
}

HearthPersona *hearth_history_add_persona(HearthHistory *h, const char *name, const char *prompt)
{
    g_autoptr(HearthPersona) persona =
        hearth_named_persona_new(hearth_store_new_id(h->store), name, prompt);
    put_persona(h, persona);
    g_list_store_insert_sorted(h->personas, persona, by_name, NULL);
    return persona;
}

void hearth_history_change_persona(HearthHistory *h, HearthPersona *persona, const char *name,
                                   const char *prompt)
{
    hearth_named_persona_set(persona, name, prompt);
    put_persona(h, persona);
    sort(h->personas);
}

void hearth_history_delete_persona(HearthHistory *h, HearthPersona *persona)
{
    h->changes++;
    hearth_store_delete(h->store, HEARTH_TABLE_PERSONA, hearth_persona_get_id(persona));
    remove_from(h->personas, persona);
}

void hearth_history_restore_persona(HearthHistory *h, HearthPersona *persona)
{
    guint at;
    if (g_list_store_find(h->personas, persona, &at)) return;
    h->changes++;
    hearth_store_restore(h->store, HEARTH_TABLE_PERSONA, hearth_persona_get_id(persona));
    g_list_store_insert_sorted(h->personas, persona, by_name, NULL);
}

/* ---- the object ------------------------------------------------------------------------------ */

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    if (id == PROP_READY)
        g_value_set_boolean(value, HEARTH_HISTORY(object)->ready);
    else
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

static void dispose(GObject *object)
{
    HearthHistory *h = HEARTH_HISTORY(object);
    for (guint i = 0; i < h->list->len; i++) hearth_conversation_orphan(h->list->pdata[i]);
    if (h->fresh) hearth_conversation_orphan(h->fresh);
    g_ptr_array_set_size(h->list, 0);
    g_clear_object(&h->fresh);
    g_clear_object(&h->folders);
    g_clear_object(&h->personas);
    g_hash_table_remove_all(h->emptied);
    g_clear_object(&h->store);
    g_clear_object(&h->worker);
    g_clear_object(&h->defaults);
    G_OBJECT_CLASS(hearth_history_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    g_ptr_array_unref(HEARTH_HISTORY(object)->list);
    g_hash_table_unref(HEARTH_HISTORY(object)->emptied);
    G_OBJECT_CLASS(hearth_history_parent_class)->finalize(object);
}

static void hearth_history_class_init(HearthHistoryClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    object->get_property = get_property;
    object->dispose = dispose;
    object->finalize = finalize;
    g_object_class_install_property(
        object, PROP_READY,
        g_param_spec_boolean("ready", NULL, NULL, FALSE,
                             G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY));
    failed_signal = g_signal_new("failed", HEARTH_TYPE_HISTORY, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void free_array(void *array) { g_array_unref(array); }

static void hearth_history_init(HearthHistory *h)
{
    h->list = g_ptr_array_new_with_free_func(g_object_unref);
    h->folders = g_list_store_new(HEARTH_TYPE_FOLDER);
    h->personas = g_list_store_new(HEARTH_TYPE_PERSONA);
    h->emptied = g_hash_table_new_full(NULL, NULL, g_object_unref, free_array);
}

HearthHistory *hearth_history_new(HearthStore *store, HearthWorker *worker, GSettings *defaults)
{
    HearthHistory *h = g_object_new(HEARTH_TYPE_HISTORY, NULL);
    h->store = g_object_ref(store);
    h->worker = g_object_ref(worker);
    h->defaults = g_object_ref(defaults);
    return h;
}
