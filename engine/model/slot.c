#include "model/slot.h"

#include "base/num.h"

enum { ALIGN = 256 };

bool eng_slot_may(const EngGraph *graph, const bool *on_device, size_t op)
{
    const EngOp *ops = graph->ops.data;
    size_t router = op;
    if (ops[op].kind != ENG_OP_EXPERTS || on_device[op]) return false;
    if (ops[op].experts.set && (!eng_graph_continues(graph, (int)op) || on_device[op - 1]))
        return false;
    while (router > 0 && ops[router].kind != ENG_OP_ROUTE) router--;
    return on_device[router];
}

size_t eng_slot_layout(const EngOp *op, size_t ret_at[3])
{
    const EngOpExperts *e = &op->experts;
    const EngWeight *w[3] = {&e->gate, &e->up, &e->down};
    size_t at = 0;
    for (int j = 0; j < 3; j++) {
        ret_at[j] = at;
        at += (size_t)eng_align_up((uint64_t)w[j]->rows * w[j]->row_bytes, ALIGN);
    }
    return at;
}

EngSlotShape eng_slot_shape(const EngGraph *graph, const bool *on_device, const bool *ops)
{
    EngSlotShape s = {0};
    for (size_t i = 0; i < graph->ops.n; i++) {
        size_t at[3];
        if (!eng_slot_may(graph, on_device, i) || (ops && !ops[i])) continue;
        if (eng_graph_continues(graph, (int)i)) continue;
        s.layers++;
        s.experts = ENG_MAX(s.experts, (int)graph->ops.data[i].experts.gate.mats);
        s.slot_bytes = ENG_MAX(s.slot_bytes, eng_slot_layout(&graph->ops.data[i], at));
    }
    uint64_t addresses = (uint64_t)s.layers * 3 * (uint64_t)s.experts;
    s.table_bytes = (size_t)eng_align_up(addresses * sizeof(uint8_t *), ALIGN);
    return s;
}

int eng_slot_count(const EngSlotShape *s, uint64_t bytes)
{
    if (s->slot_bytes == 0 || bytes < s->table_bytes) return 0;
    uint64_t fit = (bytes - s->table_bytes) / s->slot_bytes;
    return (int)ENG_MIN(fit, (uint64_t)s->layers * (uint64_t)s->experts);
}

uint64_t eng_slot_bytes(const EngSlotShape *s, int slots)
{
    return slots > 0 ? s->table_bytes + (uint64_t)slots * s->slot_bytes : 0;
}
