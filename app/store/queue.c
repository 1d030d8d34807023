#include "store/queue.h"

void hearth_order_free(HearthOrder *order)
{
    hearth_write_free(order->write);
    g_free(order);
}

void hearth_queue_init(HearthQueue *queue)
{
    g_queue_init(&queue->orders);
    queue->partials = g_hash_table_new(g_int64_hash, g_int64_equal);
}

void hearth_queue_clear(HearthQueue *queue)
{
    g_queue_clear_full(&queue->orders, (GDestroyNotify)hearth_order_free);
    g_hash_table_unref(queue->partials);
}

/* Registers a write at its place in the queue, or merges it into the partial that it continues.
 * What puts a whole message ends the merging: later partials go on top of it. */
static bool merge_or_note(HearthQueue *queue, HearthOrder *order)
{
    HearthWrite *write = order->write;
    if (!write) return false;
    if (write->kind == HEARTH_WRITE_MESSAGE) {
        g_hash_table_remove(queue->partials, &write->id);
        return false;
    }
    if (write->kind != HEARTH_WRITE_PARTIAL) return false;
    HearthOrder *earlier = g_hash_table_lookup(queue->partials, &write->id);
    if (earlier) {
        hearth_write_merge(earlier->write, g_steal_pointer(&order->write));
        hearth_order_free(order);
        return true;
    }
    g_hash_table_insert(queue->partials, &write->id, order);
    return false;
}

void hearth_queue_push(HearthQueue *queue, HearthOrder *order)
{
    if (!merge_or_note(queue, order)) g_queue_push_tail(&queue->orders, order);
}

HearthOrder *hearth_queue_pop(HearthQueue *queue)
{
    HearthOrder *order = g_queue_pop_head(&queue->orders);
    if (order && order->write && order->write->kind == HEARTH_WRITE_PARTIAL &&
        g_hash_table_lookup(queue->partials, &order->write->id) == order)
        g_hash_table_remove(queue->partials, &order->write->id);
    return order;
}

void hearth_queue_put_back(HearthQueue *queue, GQueue *orders)
{
    GQueue later = queue->orders;
    g_queue_init(&queue->orders);
    g_hash_table_remove_all(queue->partials);
    HearthOrder *order;
    while ((order = g_queue_pop_head(orders))) hearth_queue_push(queue, order);
    while ((order = g_queue_pop_head(&later))) hearth_queue_push(queue, order);
}
