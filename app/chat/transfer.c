/* The history's searching, exporting and importing: the store does the work on its thread, and what
 * was imported is added to the list. */
#include "chat/history_private.h"

static GTask *task_new(HearthHistory *h, GCancellable *cancellable, GAsyncReadyCallback done,
                       void *data, void *tag)
{
    GTask *task = g_task_new(h, cancellable, done, data);
    g_task_set_source_tag(task, tag);
    return task;
}

static void free_array(void *array) { g_ptr_array_unref(array); }

static void searched(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(GTask) task = data;
    GError *error = NULL;
    GPtrArray *hits = hearth_store_search_finish(HEARTH_STORE(store), result, &error);
    if (hits)
        g_task_return_pointer(task, hits, free_array);
    else
        g_task_return_error(task, error);
}

void hearth_history_search_async(HearthHistory *h, const char *text, guint limit,
                                 GCancellable *cancellable, GAsyncReadyCallback done, void *data)
{
    GTask *task = task_new(h, cancellable, done, data, hearth_history_search_async);
    hearth_store_search_async(hearth_history_get_store(h), text, limit, cancellable, searched,
                              task);
}

GPtrArray *hearth_history_search_finish(HearthHistory *h, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, h), NULL);
    return g_task_propagate_pointer(G_TASK(result), error);
}

static void exported(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(GTask) task = data;
    GError *error = NULL;
    if (hearth_store_export_finish(HEARTH_STORE(store), result, &error))
        g_task_return_boolean(task, TRUE);
    else
        g_task_return_error(task, error);
}

void hearth_history_export_async(HearthHistory *h, HearthConversation *conversation, bool json,
                                 GFile *file, GAsyncReadyCallback done, void *data)
{
    GTask *task = task_new(h, NULL, done, data, hearth_history_export_async);
    hearth_store_export_async(
        hearth_history_get_store(h), conversation ? hearth_conversation_get_id(conversation) : 0,
        json ? HEARTH_EXPORT_JSON : HEARTH_EXPORT_MARKDOWN, file, NULL, exported, task);
}

bool hearth_history_export_finish(HearthHistory *h, GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, h), false);
    return g_task_propagate_boolean(G_TASK(result), error);
}

static void imported(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(GTask) task = data;
    GError *error = NULL;
    guint n;
    char *left_out;
    if (!hearth_store_import_finish(HEARTH_STORE(store), result, &n, &left_out, &error)) {
        g_task_return_error(task, error);
        return;
    }
    g_task_set_task_data(task, left_out, g_free);
    hearth_history_load(g_task_get_source_object(task));
    g_task_return_int(task, (gssize)n);
}

void hearth_history_import_async(HearthHistory *h, GFile *file, GAsyncReadyCallback done,
                                 void *data)
{
    GTask *task = task_new(h, NULL, done, data, hearth_history_import_async);
    hearth_store_import_async(hearth_history_get_store(h), file, NULL, imported, task);
}

bool hearth_history_import_finish(HearthHistory *h, GAsyncResult *result, guint *ret_n,
                                  char **ret_left_out, GError **error)
{
    g_return_val_if_fail(g_task_is_valid(result, h), false);
    gssize n = g_task_propagate_int(G_TASK(result), error);
    if (n >= 0) {
        *ret_n = (guint)n;
        *ret_left_out = g_strdup(g_task_get_task_data(G_TASK(result)));
    }
    return n >= 0;
}
