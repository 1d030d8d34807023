#include "counter.h"

#include <glib/gi18n-lib.h>

#include "amount.h"

#define DELAY 250 /* ms */

struct HearthChatCounter {
    HearthWorker *worker;
    GtkLabel *label;
    HearthChatCounted get_text;
    void *data;
    guint timer;
    GCancellable *counting;
    int n; /* tokens at the last count; -1 = not known */
};

static void show(HearthChatCounter *c)
{
    gtk_widget_set_visible(GTK_WIDGET(c->label), c->n >= 0);
    if (c->n < 0) return;
    int used = 0, size = 0;
    g_object_get(c->worker, "context-used", &used, "context-size", &size, NULL);
    const HearthModelInfo *info = hearth_worker_get_info(c->worker);
    if (!size && info) size = hearth_model_info_context(info, info->settings.context);
    g_autofree char *text = hearth_amount_tokens(c->n);
    gtk_label_set_text(c->label, text);
    g_autofree char *used_text = hearth_amount_count(used), *size_text = hearth_amount_count(size);
    g_autofree char *tip =
        size > 0 ? g_strdup_printf(_("Context: %s of %s tokens used"), used_text, size_text) : NULL;
    gtk_widget_set_tooltip_text(GTK_WIDGET(c->label), tip);
    if (size > 0 && c->n > size)
        gtk_widget_add_css_class(GTK_WIDGET(c->label), "warning");
    else
        gtk_widget_remove_css_class(GTK_WIDGET(c->label), "warning");
}

/* When it was cancelled the counter may be gone. */
static void counted(GObject *worker, GAsyncResult *result, void *data)
{
    g_autoptr(GError) error = NULL;
    int n = hearth_worker_count_finish(HEARTH_WORKER(worker), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) return;
    HearthChatCounter *c = data;
    g_clear_object(&c->counting);
    c->n = n;
    show(c);
}

static void cancel(HearthChatCounter *c)
{
    g_clear_handle_id(&c->timer, g_source_remove);
    if (c->counting) g_cancellable_cancel(c->counting);
    g_clear_object(&c->counting);
}

static gboolean count(void *data)
{
    HearthChatCounter *c = data;
    c->timer = 0;
    g_autofree char *text = c->get_text(c->data);
    if (!text || hearth_worker_get_state(c->worker) != HEARTH_MODEL_READY) {
        c->n = -1;
        show(c);
        return G_SOURCE_REMOVE;
    }
    c->counting = g_cancellable_new();
    hearth_worker_count_async(c->worker, text, c->counting, counted, c);
    return G_SOURCE_REMOVE;
}

HearthChatCounter *hearth_chat_counter_new(HearthWorker *worker, GtkLabel *label,
                                           HearthChatCounted get_text, void *data)
{
    HearthChatCounter *c = g_new0(HearthChatCounter, 1);
    c->worker = g_object_ref(worker);
    c->label = label;
    c->get_text = get_text;
    c->data = data;
    c->n = -1;
    g_signal_connect_swapped(worker, "notify::state", G_CALLBACK(hearth_chat_counter_wake), c);
    return c;
}

void hearth_chat_counter_free(HearthChatCounter *counter)
{
    if (!counter) return;
    cancel(counter);
    g_signal_handlers_disconnect_by_data(counter->worker, counter);
    g_object_unref(counter->worker);
    g_free(counter);
}

void hearth_chat_counter_wake(HearthChatCounter *counter)
{
    if (!counter) return;
    cancel(counter);
    counter->timer = g_timeout_add(DELAY, count, counter);
}
