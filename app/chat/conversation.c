#include "chat/conversation_private.h"

#include <string.h>

#include "settings.h"

#define ROW_DELAY_MS 1000

static void list_model_init(GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(HearthConversation, hearth_conversation, G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(G_TYPE_LIST_MODEL, list_model_init))

enum {
    PROP_TITLE = 1,
    PROP_PINNED,
    PROP_FOLDER,
    PROP_PERSONA,
    PROP_DRAFT,
    PROP_UPDATED,
    PROP_BUSY,
    PROP_UNREAD,
    PROP_LOADED,
    PROP_STORED,
    PROP_N_ATTACHMENTS,
    N_PROPS
};
static GParamSpec *props[N_PROPS];
static guint failed_signal;

/* ---- the list -------------------------------------------------------------------------------- */

static GType get_item_type(GListModel *list)
{
    (void)list;
    return HEARTH_TYPE_MESSAGE;
}

static guint get_n_items(GListModel *list) { return HEARTH_CONVERSATION(list)->branch->len; }

static void *get_item(GListModel *list, guint at)
{
    GPtrArray *branch = HEARTH_CONVERSATION(list)->branch;
    return at < branch->len ? g_object_ref(branch->pdata[at]) : NULL;
}

static void list_model_init(GListModelInterface *iface)
{
    iface->get_item_type = get_item_type;
    iface->get_n_items = get_n_items;
    iface->get_item = get_item;
}

static void replace_branch(HearthConversation *c, GPtrArray *branch)
{
    g_autoptr(GPtrArray) old = c->branch;
    guint same = 0;
    while (same < old->len && same < branch->len && old->pdata[same] == branch->pdata[same]) same++;
    c->branch = branch;
    if (same < old->len || same < branch->len)
        g_list_model_items_changed(G_LIST_MODEL(c), same, old->len - same, branch->len - same);
}

void hearth_conversation_show_branch(HearthConversation *c, gint64 id)
{
    GPtrArray *branch = hearth_tree_branch(c->tree, id);
    HearthMessage *last = branch->len ? branch->pdata[branch->len - 1] : NULL;
    c->row.head = last ? hearth_message_get_id(last) : 0;
    replace_branch(c, branch);
}

/* ---- the row --------------------------------------------------------------------------------- */

static void notify(HearthConversation *c, int prop)
{
    g_object_notify_by_pspec(G_OBJECT(c), props[prop]);
}

/* What was sent and could not be asked yet stands in the row's draft, before what is typed now. */
static void write_row(HearthConversation *c)
{
    HearthConversationRow row = c->row;
    g_autofree char *draft =
        c->unsent ? g_strjoin("\n\n", c->unsent, *row.draft ? row.draft : NULL, NULL) : NULL;
    if (draft) row.draft = draft;
    hearth_store_put_conversation(hearth_history_get_store(c->history), &row);
}

void hearth_conversation_put(HearthConversation *c)
{
    bool waited = c->row_timer != 0;
    g_clear_handle_id(&c->row_timer, g_source_remove);
    if (!c->history) return;
    if (c->settings) {
        g_free(c->row.options);
        c->row.options = hearth_settings_to_json(c->settings);
    }
    if (!c->stored) {
        c->stored = true;
        write_row(c);
        hearth_history_placed(c->history, c);
        notify(c, PROP_STORED);
    } else {
        write_row(c);
    }
    if (waited) hearth_unsent_put(c);
}

void hearth_conversation_put_waiting(HearthConversation *c)
{
    if (c->row_timer) hearth_conversation_put(c);
}

static gboolean put_later(void *data)
{
    hearth_conversation_put(data);
    return G_SOURCE_CONTINUE; /* it is gone by now */
}

void hearth_conversation_put_soon(HearthConversation *c)
{
    if (!c->row_timer) c->row_timer = g_timeout_add(ROW_DELAY_MS, put_later, c);
}

/* A new conversation with nothing in it is not worth a row. */
static void put_if_stored(HearthConversation *c)
{
    if (c->stored) hearth_conversation_put(c);
}

void hearth_conversation_updated(HearthConversation *c)
{
    c->row.updated = g_get_real_time();
    hearth_conversation_put(c);
    hearth_history_placed(c->history, c);
    notify(c, PROP_UPDATED);
}

void hearth_conversation_busy_changed(HearthConversation *c) { notify(c, PROP_BUSY); }

void hearth_conversation_set_unread(HearthConversation *c, bool unread)
{
    if (c->unread == unread) return;
    c->unread = unread;
    notify(c, PROP_UNREAD);
}

void hearth_conversation_set_title(HearthConversation *c, const char *title)
{
    g_autofree char *clean = hearth_name_clean(title);
    if (!*clean || strcmp(clean, c->row.title) == 0) return;
    g_free(c->row.title);
    c->row.title = g_steal_pointer(&clean);
    c->row.titled = true;
    put_if_stored(c);
    notify(c, PROP_TITLE);
}

void hearth_conversation_set_pinned(HearthConversation *c, bool pinned)
{
    if (c->row.pinned == pinned) return;
    c->row.pinned = pinned;
    put_if_stored(c);
    notify(c, PROP_PINNED);
}

void hearth_conversation_set_folder(HearthConversation *c, gint64 folder)
{
    if (c->row.folder == folder) return;
    c->row.folder = folder;
    put_if_stored(c);
    notify(c, PROP_FOLDER);
}

void hearth_conversation_set_persona(HearthConversation *c, gint64 persona)
{
    if (c->row.persona == persona) return;
    c->row.persona = persona;
    put_if_stored(c);
    notify(c, PROP_PERSONA);
}

void hearth_conversation_set_draft(HearthConversation *c, const char *draft)
{
    if (strcmp(c->row.draft, draft) == 0) return;
    g_free(c->row.draft);
    c->row.draft = g_strdup(draft);
    if (c->stored || *draft) hearth_conversation_put_soon(c);
}

static void settings_changed(HearthConversation *c)
{
    if (c->stored) hearth_conversation_put_soon(c);
}

GSettings *hearth_conversation_get_settings(HearthConversation *c)
{
    if (!c->settings) {
        c->settings = hearth_settings_of_conversation(c->row.options);
        if (c->settings)
            g_signal_connect_swapped(c->settings, "changed", G_CALLBACK(settings_changed), c);
    }
    return c->settings;
}

/* ---- loading --------------------------------------------------------------------------------- */

static void set_loaded(HearthConversation *c, bool loaded)
{
    if (c->loaded == loaded) return;
    c->loaded = loaded;
    notify(c, PROP_LOADED);
}

static void take_messages(HearthConversation *c, GPtrArray *rows)
{
    for (guint i = 0; i < rows->len; i++) {
        g_autoptr(HearthMessage) message = hearth_message_new(rows->pdata[i]);
        hearth_tree_add(c->tree, message);
    }
    hearth_conversation_show_branch(c, c->row.head);
    set_loaded(c, true);
    if (!c->unsent) return;
    g_autofree char *unsent = g_steal_pointer(&c->unsent);
    g_autofree char *draft = g_strdup(c->row.draft); /* typed since */
    hearth_conversation_send(c, unsent);
    hearth_conversation_set_draft(c, draft);
}

static void messages_came(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(HearthConversation) c = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) rows = hearth_store_messages_finish(HEARTH_STORE(store), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) return;
    g_clear_object(&c->loading);
    if (rows)
        take_messages(c, rows);
    else
        g_signal_emit(c, failed_signal, 0, error->message);
}

static void load(HearthConversation *c)
{
    if (c->loaded || c->loading || !c->history) return;
    c->loading = g_cancellable_new();
    hearth_unsent_load(c, c->loading);
    hearth_store_messages_async(hearth_history_get_store(c->history), c->row.id, c->loading,
                                messages_came, g_object_ref(c));
}

static void let_go(HearthConversation *c)
{
    if (!c->stored || c->shown || c->running || c->unsent) return;
    if (c->loading) g_cancellable_cancel(c->loading);
    g_clear_object(&c->loading);
    if (!c->loaded) return;
    replace_branch(c, g_ptr_array_new_with_free_func(g_object_unref));
    hearth_tree_clear(c->tree);
    hearth_unsent_let_go(c);
    set_loaded(c, false);
}

void hearth_conversation_set_shown(HearthConversation *c, bool shown)
{
    c->shown = shown;
    if (shown) {
        hearth_conversation_set_unread(c, false);
        load(c);
        return;
    }
    hearth_conversation_put_waiting(c);
    let_go(c);
}

/* ---- the object ------------------------------------------------------------------------------ */

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthConversation *c = HEARTH_CONVERSATION(object);
    switch (id) {
    case PROP_TITLE: g_value_set_string(value, c->row.title); break;
    case PROP_PINNED: g_value_set_boolean(value, c->row.pinned); break;
    case PROP_FOLDER: g_value_set_int64(value, c->row.folder); break;
    case PROP_PERSONA: g_value_set_int64(value, c->row.persona); break;
    case PROP_DRAFT: g_value_set_string(value, c->row.draft); break;
    case PROP_UPDATED: g_value_set_int64(value, c->row.updated); break;
    case PROP_BUSY: g_value_set_boolean(value, c->running != NULL); break;
    case PROP_UNREAD: g_value_set_boolean(value, c->unread); break;
    case PROP_LOADED: g_value_set_boolean(value, c->loaded); break;
    case PROP_STORED: g_value_set_boolean(value, c->stored); break;
    case PROP_N_ATTACHMENTS: g_value_set_uint(value, c->attachments->len); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    HearthConversation *c = HEARTH_CONVERSATION(object);
    switch (id) {
    case PROP_TITLE: hearth_conversation_set_title(c, g_value_get_string(value)); break;
    case PROP_PINNED: hearth_conversation_set_pinned(c, g_value_get_boolean(value)); break;
    case PROP_FOLDER: hearth_conversation_set_folder(c, g_value_get_int64(value)); break;
    case PROP_PERSONA: hearth_conversation_set_persona(c, g_value_get_int64(value)); break;
    case PROP_DRAFT: hearth_conversation_set_draft(c, g_value_get_string(value)); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void dispose(GObject *object)
{
    HearthConversation *c = HEARTH_CONVERSATION(object);
    g_clear_handle_id(&c->row_timer, g_source_remove);
    g_clear_handle_id(&c->save_timer, g_source_remove);
    if (c->loading) g_cancellable_cancel(c->loading);
    g_clear_object(&c->loading);
    if (c->job) g_signal_handlers_disconnect_by_data(c->job, c);
    g_clear_object(&c->job);
    g_clear_object(&c->running);
    if (c->settings) g_signal_handlers_disconnect_by_data(c->settings, c);
    g_clear_object(&c->settings);
    g_clear_weak_pointer(&c->history);
    G_OBJECT_CLASS(hearth_conversation_parent_class)->dispose(object);
}

static void finalize(GObject *object)
{
    HearthConversation *c = HEARTH_CONVERSATION(object);
    g_ptr_array_unref(c->branch);
    hearth_tree_free(c->tree);
    hearth_unsent_clear(c);
    g_free(c->row.title);
    g_free(c->row.draft);
    g_free(c->row.options);
    g_free(c->unsent);
    G_OBJECT_CLASS(hearth_conversation_parent_class)->finalize(object);
}

static void hearth_conversation_class_init(HearthConversationClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    GParamFlags ro = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
    GParamFlags rw = ro | G_PARAM_WRITABLE;
    object->get_property = get_property;
    object->set_property = set_property;
    object->dispose = dispose;
    object->finalize = finalize;
    props[PROP_TITLE] = g_param_spec_string("title", NULL, NULL, "", rw);
    props[PROP_PINNED] = g_param_spec_boolean("pinned", NULL, NULL, FALSE, rw);
    props[PROP_FOLDER] = g_param_spec_int64("folder", NULL, NULL, 0, G_MAXINT64, 0, rw);
    props[PROP_PERSONA] = g_param_spec_int64("persona", NULL, NULL, 0, G_MAXINT64, 0, rw);
    props[PROP_DRAFT] = g_param_spec_string("draft", NULL, NULL, "", rw);
    props[PROP_UPDATED] = g_param_spec_int64("updated", NULL, NULL, 0, G_MAXINT64, 0, ro);
    props[PROP_BUSY] = g_param_spec_boolean("busy", NULL, NULL, FALSE, ro);
    props[PROP_UNREAD] = g_param_spec_boolean("unread", NULL, NULL, FALSE, ro);
    props[PROP_LOADED] = g_param_spec_boolean("loaded", NULL, NULL, FALSE, ro);
    props[PROP_STORED] = g_param_spec_boolean("stored", NULL, NULL, FALSE, ro);
    props[PROP_N_ATTACHMENTS] = g_param_spec_uint("n-attachments", NULL, NULL, 0, G_MAXUINT, 0, ro);
    g_object_class_install_properties(object, N_PROPS, props);
    failed_signal = g_signal_new("failed", HEARTH_TYPE_CONVERSATION, G_SIGNAL_RUN_LAST, 0, NULL,
                                 NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void hearth_conversation_init(HearthConversation *c)
{
    c->tree = hearth_tree_new();
    c->branch = g_ptr_array_new_with_free_func(g_object_unref);
    hearth_unsent_init(c);
}

HearthConversation *hearth_conversation_new(HearthHistory *history,
                                            const HearthConversationRow *row)
{
    HearthConversation *c = g_object_new(HEARTH_TYPE_CONVERSATION, NULL);
    g_set_weak_pointer(&c->history, history);
    if (row) {
        c->row = *row;
        c->stored = true;
    } else {
        c->row.id = hearth_store_new_id(hearth_history_get_store(history));
        c->row.created = c->row.updated = g_get_real_time();
        c->loaded = true;
    }
    c->row.title = g_strdup(row && row->title ? row->title : "");
    c->row.draft = g_strdup(row && row->draft ? row->draft : "");
    c->row.options = g_strdup(row && row->options ? row->options : "");
    return c;
}

void hearth_conversation_orphan(HearthConversation *c)
{
    hearth_conversation_put_waiting(c);
    g_clear_handle_id(&c->save_timer, g_source_remove);
    if (c->job) g_signal_handlers_disconnect_by_data(c->job, c);
    g_clear_weak_pointer(&c->history);
}

gint64 hearth_conversation_get_id(HearthConversation *c) { return c->row.id; }
const char *hearth_conversation_get_title(HearthConversation *c) { return c->row.title; }
bool hearth_conversation_get_pinned(HearthConversation *c) { return c->row.pinned; }
gint64 hearth_conversation_get_folder(HearthConversation *c) { return c->row.folder; }
gint64 hearth_conversation_get_persona(HearthConversation *c) { return c->row.persona; }
gint64 hearth_conversation_get_updated(HearthConversation *c) { return c->row.updated; }
const char *hearth_conversation_get_draft(HearthConversation *c) { return c->row.draft; }
bool hearth_conversation_is_busy(HearthConversation *c) { return c->running != NULL; }
bool hearth_conversation_is_unread(HearthConversation *c) { return c->unread; }
bool hearth_conversation_is_loaded(HearthConversation *c) { return c->loaded; }
HearthMessage *hearth_conversation_get_running(HearthConversation *c) { return c->running; }
