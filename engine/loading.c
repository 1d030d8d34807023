/* Weights come into memory slice by slice: random ones are made, a device's are copied to it, those
 * of NUMA nodes to them, and of a mapped file the rest is read. Then what a device is to copy from
 * is pinned. */
#include <stdlib.h>

#include "base/num.h"
#include "model.h"

enum { SLICE = 64 << 20, SHARE = 16 << 20 }; /* SHARE: of a thread, at least */

uint64_t eng_model_copied_bytes(const EngModel *model)
{
    uint64_t filled;
    return model->placement ? eng_placement_bytes(model->placement, &filled) : 0;
}

/* ---- a device's ------------------------------------------------------------------------------ */

/* What the device has need not be in DRAM, too; what the CPU then wants of it after all comes from
 * the disk again. */
bool eng_model_load_far(EngModel *m, uint64_t n, EngError *err)
{
    const uint8_t *from = NULL;
    int d = 0;
    for (uint64_t done = 0, size; done < n; done += size) {
        do size = m->devices[d]->next(m->devices[d], ENG_MIN(n - done, SLICE), &from);
        while (size == 0 && ++d < m->n_devices);
        if (size == 0) return done > 0;
        const EngMap *part = m->rehearsal ? NULL : eng_gguf_part(m->gguf, from);
        if (part) eng_map_touch(part, (uint64_t)(from - part->data), size);
        if (!m->devices[d]->load(m->devices[d], size, err)) return false;
        if (part) eng_map_drop(part, (uint64_t)(from - part->data), size);
    }
    return true;
}

/* ---- the file -------------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const EngFar *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

static void add_far(EngModel *m, const EngWeight *w)
{
    for (int64_t i = 0; i < (w->mat_data ? w->mats : 1); i++) {
        uint64_t mats = w->mat_data ? 1 : (uint64_t)w->mats;
        EngFar far = {eng_weight_mat(w, i),
                      (mats - 1) * w->mat_bytes + (uint64_t)w->rows * w->row_bytes};
        if (eng_gguf_part(m->gguf, far.data)) eng_vec_push(&m->far, far);
    }
}

static bool is_table(const EngModel *m, const EngWeight *w)
{
    for (size_t i = 0; i < m->graph.ops.n; i++) {
        const EngOp *op = &m->graph.ops.data[i];
        if (op->kind == ENG_OP_EMBED && op->embed.table.data == w->data) return true;
    }
    return false;
}

/* The matrices in the file that a device alone reads. */
void eng_model_find_far(EngModel *m)
{
    for (size_t i = 0; i < m->graph.ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        int n = m->device_of[i] >= 0 ? eng_op_weights(&m->graph.ops.data[i], w) : 0;
        for (int j = 0; j < n; j++)
            if (!is_table(m, w[j])) add_far(m, w[j]);
    }
    if (m->far.n) qsort(m->far.data, m->far.n, sizeof *m->far.data, by_address);
}

/* The first of them that ends behind `data`. */
static const EngFar *far_behind(const EngModel *m, const uint8_t *data)
{
    size_t lo = 0, hi = m->far.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->far.data[mid].data + m->far.data[mid].bytes > data)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo < m->far.n ? &m->far.data[lo] : NULL;
}

/* Touches at most `n` bytes of a part from `at` on; returns where it has come to. */
static uint64_t touch_near(const EngModel *m, const EngMap *part, uint64_t at, uint64_t n)
{
    while (at < part->size && n > 0) {
        const EngFar *far = far_behind(m, part->data + at);
        bool inside = far && far->data < part->data + part->size;
        uint64_t begin = inside ? (uint64_t)(far->data - part->data) : part->size;
        if (begin <= at) {
            at = ENG_MIN(begin + far->bytes, part->size);
            continue;
        }
        uint64_t now = ENG_MIN(n, begin - at);
        eng_map_touch(part, at, now);
        at += now;
        n -= now;
    }
    return at;
}

/* The next slice of the file into the system's cache of it. */
static void touch_slice(EngModel *m)
{
    uint64_t before = 0;
    for (int i = 0; i < m->gguf->n_parts; i++) {
        const EngMap *part = &m->gguf->parts[i];
        if (m->loaded < before + part->size) {
            m->loaded = before + touch_near(m, part, m->loaded - before, SLICE);
            return;
        }
        before += part->size;
    }
}

static uint64_t file_bytes(const EngModel *m)
{
    uint64_t total = 0;
    for (int i = 0; i < m->gguf->n_parts; i++) total += m->gguf->parts[i].size;
    return total;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Of what the CPU reads. */
static uint64_t near_bytes(const EngModel *m, uint64_t *ret_done)
{
    if (m->rehearsal) return eng_rehearsal_bytes(m->rehearsal, ret_done);
    if (eng_model_copied_bytes(m) > 0) return eng_placement_bytes(m->placement, ret_done);
    *ret_done = m->loaded;
    return file_bytes(m);
}

static void load_near(EngModel *m)
{
    if (m->rehearsal) {
        eng_rehearsal_fill(m->rehearsal, SLICE);
    } else if (eng_model_copied_bytes(m) > 0) {
        eng_lock_take(m->compute);
        eng_placement_fill(m->placement,
                           ENG_MAX(SLICE, (uint64_t)eng_pool_threads(m->pool) * SHARE), m->pool,
                           m->gguf);
        eng_lock_give(m->compute);
    } else {
        touch_slice(m);
    }
}

/* The devices' bytes; 0 when there is none, or none any more. */
static uint64_t far_bytes(EngModel *m, uint64_t *ret_done)
{
    uint64_t total = 0;
    *ret_done = 0;
    if (!m->n_devices || eng_model_is_lost(m)) return 0;
    eng_lock_take(m->compute);
    for (int d = 0; d < m->n_devices; d++) {
        total += m->devices[d]->weight_bytes;
        *ret_done += m->devices[d]->loaded;
    }
    eng_lock_give(m->compute);
    return total;
}

/* A device that fails here is done without, as in any step. */
static void load_far_slice(EngModel *m)
{
    EngError why = {0};
    eng_lock_take(m->compute);
    if (!eng_model_load_far(m, SLICE, &why) && why.code) eng_model_lose(m, &why);
    eng_lock_give(m->compute);
}

/* What does not fit in DRAM must be free to leave it. Memory of the caller's may share pages with
 * what is not the model's. */
static bool may_pin(const EngModel *m)
{
    bool fits = m->rehearsal || m->gguf->parts[0].owned;
    for (size_t i = 0; i < m->plan->n_rows; i++)
        fits = fits && (m->plan->rows[i].place.kind != ENG_PLACE_DISK ||
                        m->plan->rows[i].kind == ENG_PLAN_UNUSED);
    return fits;
}

/* Experts that prompts send to a device: memory is pinned when all is where it stays. */
static uint64_t guest_bytes(EngModel *m, uint64_t *ret_done)
{
    uint64_t total = 0;
    *ret_done = 0;
    if (!m->n_devices || eng_model_is_lost(m) || !may_pin(m)) return 0;
    for (int d = 0; d < m->n_devices; d++) total += m->devices[d]->guest_bytes;
    *ret_done = m->pinned;
    return total;
}

static void pin_slice(EngModel *m, uint64_t total)
{
    uint64_t n = 0;
    eng_lock_take(m->compute);
    for (int d = 0; d < m->n_devices && n == 0; d++) n = m->devices[d]->pin(m->devices[d]);
    eng_lock_give(m->compute);
    m->pinned = n ? m->pinned + n : total;
}

bool eng_model_load(EngModel *model, uint64_t *ret_done, uint64_t *ret_total, EngError *err)
{
    uint64_t near, far, total = near_bytes(model, &near), far_total = far_bytes(model, &far);
    uint64_t pinned, guests = guest_bytes(model, &pinned);
    /* A device gets what is made; what is in a file is copied before the rest is read. */
    if (far < far_total && (!model->rehearsal || near == total))
        load_far_slice(model);
    else if (near < total || pinned == guests)
        load_near(model);
    else
        pin_slice(model, guests);
    if (!eng_gguf_check(model->gguf, err)) return false;
    total = near_bytes(model, &near) + far_bytes(model, &far) + guest_bytes(model, &pinned);
    *ret_done = near + far + pinned;
    *ret_total = total;
    return true;
}
