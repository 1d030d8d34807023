/* What waits for the store's thread, in order. A partial answer replaces the one of the same
 * message that still waits: of many only the last is written.
 *
 * No lock of its own; whoever shares one guards it. */
#ifndef HEARTH_QUEUE_H
#define HEARTH_QUEUE_H

#include "store/write.h"

typedef struct HearthRead HearthRead;

/* One of the two. */
typedef struct {
    HearthWrite *write;
    HearthRead *read;
} HearthOrder;

typedef struct {
    GQueue orders;        /* of HearthOrder */
    GHashTable *partials; /* message → the order in it that a newer partial may replace */
} HearthQueue;

void hearth_order_free(HearthOrder *order); /* with the write; the read is others' */

void hearth_queue_init(HearthQueue *queue);
void hearth_queue_clear(HearthQueue *queue); /* must hold no reads */

void hearth_queue_push(HearthQueue *queue, HearthOrder *order); /* takes it */
HearthOrder *hearth_queue_pop(HearthQueue *queue);              /* NULL: empty */
/* Puts orders before all others, in their order, and merges what now stands in one queue. */
void hearth_queue_put_back(HearthQueue *queue, GQueue *orders);

#endif
