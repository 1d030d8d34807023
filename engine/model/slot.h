/* Single experts of the CPU's layers as copies in a device's memory (plan/cache/cache.h): which may
 * be there, and how they lie. A slot holds the gate, up and down matrices of one expert; a table
 * has their addresses, [layers][3][experts]. */
#ifndef ENG_MODEL_SLOT_H
#define ENG_MODEL_SLOT_H

#include "model/graph.h"

/* Whether an op's experts may be cached by a device with these ops: it must have chosen them.
 * Deferred ones are those of the op before them, and cached with them or not at all. */
bool eng_slot_may(const EngGraph *graph, const bool *on_device, size_t op);

typedef struct {
    int layers, experts; /* that may be cached; of a layer at most */
    size_t slot_bytes, table_bytes;
} EngSlotShape;

/* Of those with ops[op] alone; NULL = of all that may. */
EngSlotShape eng_slot_shape(const EngGraph *graph, const bool *on_device, const bool *ops);
/* As many as fit into so many bytes with the table, and are of use; and the bytes of so many. */
int eng_slot_count(const EngSlotShape *shape, uint64_t bytes);
uint64_t eng_slot_bytes(const EngSlotShape *shape, int slots);

/* Where gate, up and down of one expert lie in a slot; returns the bytes of all. */
size_t eng_slot_layout(const EngOp *op, size_t ret_at[3]);

#endif
