/* An LRU cache of experts as plan/cache/cache.h describes it: what the engine's is compared with. A
 * key is a layer's number among those with experts times `layer_size`, plus the expert's. */
#ifndef TEST_GPU_LRU_H
#define TEST_GPU_LRU_H

#include "plan/cache/cache.h"

typedef struct {
    int key, step; /* of its last use */
    bool coming;
} Slot;

typedef struct {
    Slot slots[64]; /* key -1: free */
    int n_slots;
    int missed[64], n_missed; /* in the last step */
    int layer;                /* that something came in for last */
    int layer_size;           /* experts */
} Lru;

static Slot *find(Lru *l, int key)
{
    for (int i = 0; i < l->n_slots; i++)
        if (l->slots[i].key == key) return &l->slots[i];
    return NULL;
}

static Slot *free_slot(Lru *l, int step)
{
    Slot *old = find(l, -1);
    for (int i = 0; i < l->n_slots && (!old || old->key >= 0); i++) {
        Slot *s = &l->slots[i];
        if (!s->coming && s->step < step - 1 && (!old || s->step < old->step)) old = s;
    }
    return old;
}

static void lru_begin(Lru *l, int step)
{
    for (int i = 0; i < l->n_slots; i++) {
        if (l->slots[i].coming) l->slots[i].step = step - 1;
        l->slots[i].coming = false;
    }
    for (int n = 0; n < ENG_CACHE_PENDING && l->n_missed > 0; n++) {
        int pick = 0;
        while (pick < l->n_missed && l->missed[pick] / l->layer_size <= l->layer) pick++;
        if (pick == l->n_missed) pick = 0;
        Slot *slot = free_slot(l, step);
        if (!slot) break;
        *slot = (Slot){l->missed[pick], step - 1, true};
        l->layer = slot->key / l->layer_size;
        l->n_missed--;
        for (int i = pick; i < l->n_missed; i++) l->missed[i] = l->missed[i + 1];
    }
    l->n_missed = 0;
}

#endif
