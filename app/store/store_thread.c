#include "store/store_thread.h"

#include "store/opening.h"
#include "store/search/index.h"
#include "sync.h"

#define LONGEST_BATCH (250 * G_TIME_SPAN_MILLISECOND)
#define RETRY_AFTER (2 * G_TIME_SPAN_SECOND)
#define RETRY_AT_END_AFTER (200 * G_TIME_SPAN_MILLISECOND)
#define LOOK_EVERY 4000 /* steps of SQLite's machine between two looks at a cancellable */

struct HearthStoreThread {
    GMutex mutex; /* guards the next block */
    GCond cond;
    HearthQueue queue;
    HearthRead *opener;
    gint64 last_id;
    gboolean closing, ended;
    gint64 deadline; /* monotonic */

    /* set once */
    GThread *gthread; /* NULL once joined */
    GMainContext *context;
    GObject *store; /* only to make weak references to */
    char *path;

    /* the thread's own */
    HearthDb *db;
    gboolean stands_in; /* db is in memory though there is a path */
    HearthQueue unkept; /* what has been written to it since */
    GQueue batch;       /* of HearthOrder: writes applied and not committed */
    gint64 batch_began;
    GQueue background; /* of HearthOrder: reads that have more to do */
    gboolean trouble;
    gint64 retry_at;
    gboolean marked;    /* the next opening looks closely */
    gboolean reindexed; /* once is enough */
};

/* ---- results, on the main loop --------------------------------------------------------------- */

static void read_free(HearthRead *read)
{
    if (read->free_data) read->free_data(read->data);
    if (read->result && read->free_result) read->free_result(read->result);
    g_clear_error(&read->error);
    g_object_unref(read->task);
    g_free(read);
}

/* Held while a source is made, and for a moment by what it calls: the one is before the other, for
 * sources themselves too. Of no store, since a source may outlive its store. */
static GMutex hand_over;

static void take_over(void)
{
    hearth_lock(&hand_over);
    hearth_unlock(&hand_over);
}

/* The last reference to a task may be the last one to the store: it must fall on the main loop. */
static gboolean on_deliver(gpointer data)
{
    HearthRead *read = data;
    take_over();
    if (read->error)
        g_task_return_error(read->task, g_steal_pointer(&read->error));
    else if (read->free_result)
        g_task_return_pointer(read->task, g_steal_pointer(&read->result), read->free_result);
    else
        g_task_return_boolean(read->task, TRUE);
    return G_SOURCE_REMOVE;
}

static void attach(HearthStoreThread *self, GSourceFunc call, void *data, GDestroyNotify free_data)
{
    hearth_lock(&hand_over);
    g_autoptr(GSource) source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, call, data, free_data);
    g_source_attach(source, self->context);
    hearth_unlock(&hand_over);
}

static void deliver(HearthStoreThread *self, HearthOrder *order)
{
    attach(self, on_deliver, order->read, (GDestroyNotify)read_free);
    hearth_order_free(order);
}

typedef struct {
    GWeakRef store;
    char *sentence;
} Trouble;

static gboolean on_trouble(gpointer data)
{
    Trouble *trouble = data;
    take_over();
    g_autoptr(GObject) store = g_weak_ref_get(&trouble->store);
    if (store) g_signal_emit_by_name(store, "trouble", trouble->sentence);
    return G_SOURCE_REMOVE;
}

static void trouble_free(Trouble *trouble)
{
    g_weak_ref_clear(&trouble->store);
    g_free(trouble->sentence);
    g_free(trouble);
}

static void tell_trouble(HearthStoreThread *self, const char *sentence)
{
    Trouble *trouble = g_new0(Trouble, 1);
    g_weak_ref_init(&trouble->store, self->store);
    trouble->sentence = g_strdup(sentence);
    attach(self, on_trouble, trouble, (GDestroyNotify)trouble_free);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* These stay wrong however often they are tried; anything else may pass. */
static bool is_hopeless(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE: return true;
    default: return false;
    }
}

/* A damaged search index answers with any of them; rows of ours break no constraint. */
static bool is_index_damage(int rc)
{
    return rc == SQLITE_CORRUPT_VTAB || (rc & 0xff) == SQLITE_CONSTRAINT ||
           (rc & 0xff) == SQLITE_ERROR;
}

static int apply(HearthStoreThread *self, const HearthWrite *write)
{
    int rc = hearth_write_apply(write, self->db);
    bool ended = sqlite3_get_autocommit(hearth_db_get_sqlite(self->db)); /* with all before it */
    if (!is_hopeless(rc) || ended || (is_index_damage(rc) && !self->reindexed)) return rc;
    g_warning("The history cannot hold a row of table %d: %s", (int)write->kind,
              sqlite3_errstr(rc));
    return SQLITE_OK;
}

static void rollback(HearthStoreThread *self)
{
    if (!sqlite3_get_autocommit(hearth_db_get_sqlite(self->db)))
        hearth_db_exec(self->db, "ROLLBACK");
}

static void put_batch_back(HearthStoreThread *self)
{
    hearth_lock(&self->mutex);
    hearth_queue_put_back(&self->queue, &self->batch);
    hearth_unlock(&self->mutex);
}

/* The index can be made again from the texts, which are whole. Once: it should not be necessary. */
static bool mend_index(HearthStoreThread *self)
{
    if (self->reindexed) return false;
    self->reindexed = TRUE;
    return hearth_index_rebuild(self->db) == SQLITE_OK;
}

/* The next opening looks at all of it. */
static void note_damage(HearthStoreThread *self, int rc)
{
    if (!hearth_db_is_damage(rc) || self->marked) return;
    hearth_opening_mark(self->path);
    self->marked = TRUE;
}

/* The transaction has failed: all that was in it waits for the next try. */
static void fail(HearthStoreThread *self, int rc)
{
    g_autoptr(GError) error = NULL;
    hearth_db_error(&error, self->db, rc);
    rollback(self);
    put_batch_back(self);
    if (is_index_damage(rc) && mend_index(self)) return;
    note_damage(self, rc);
    bool closing = g_atomic_int_get(&self->closing);
    self->retry_at = g_get_monotonic_time() + (closing ? RETRY_AT_END_AFTER : RETRY_AFTER);
    if (!self->trouble) tell_trouble(self, error->message);
    self->trouble = TRUE;
}

static void commit(HearthStoreThread *self)
{
    if (g_queue_is_empty(&self->batch)) return;
    int rc = hearth_db_exec(self->db, "COMMIT");
    if (rc) {
        fail(self, rc);
        return;
    }
    HearthOrder *order;
    while ((order = g_queue_pop_head(&self->batch))) {
        if (self->stands_in)
            hearth_queue_push(&self->unkept, order);
        else
            hearth_order_free(order);
    }
    if (!self->trouble) return;
    hearth_lock(&self->mutex);
    self->trouble =
        !g_queue_is_empty(&self->queue.orders); /* a part of them may fit, and no more */
    hearth_unlock(&self->mutex);
    if (!self->trouble) tell_trouble(self, NULL);
}

/* Into the open transaction; takes the order. */
static void write_one(HearthStoreThread *self, HearthOrder *order)
{
    int rc = SQLITE_OK;
    bool first = g_queue_is_empty(&self->batch);
    g_queue_push_tail(&self->batch, order);
    if (first) {
        self->batch_began = g_get_monotonic_time();
        rc = hearth_db_exec(self->db, "BEGIN IMMEDIATE");
    }
    if (!rc) rc = apply(self, order->write);
    if (rc)
        fail(self, rc);
    else if (g_get_monotonic_time() - self->batch_began > LONGEST_BATCH)
        commit(self);
}

/* ---- reading --------------------------------------------------------------------------------- */

static int on_progress(void *data)
{
    HearthOrder *order = data;
    HearthStoreThread *self = order->read->thread;
    GCancellable *cancellable = g_task_get_cancellable(order->read->task);
    return g_cancellable_is_cancelled(cancellable) || g_atomic_int_get(&self->closing);
}

/* One slice of a read; takes the order. */
static void read_one(HearthStoreThread *self, HearthOrder *order)
{
    HearthRead *read = order->read;
    HearthReadState state = HEARTH_READ_FAILED;
    GCancellable *cancellable = g_task_get_cancellable(read->task);
    if (g_atomic_int_get(&self->closing))
        g_set_error_literal(&read->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Closing");
    else if (!g_cancellable_set_error_if_cancelled(cancellable, &read->error)) {
        sqlite3 *sqlite = hearth_db_get_sqlite(self->db);
        sqlite3_progress_handler(sqlite, LOOK_EVERY, on_progress, order);
        state = read->run(read, self->db, &read->error);
        if (state == HEARTH_READ_FAILED) note_damage(self, hearth_db_errcode(self->db));
        sqlite3_progress_handler(sqlite, 0, NULL, NULL);
    }
    if (state == HEARTH_READ_MORE)
        g_queue_push_tail(&self->background, order);
    else
        deliver(self, order);
}

/* While the disk refuses: the writes before the read, the read, and back. */
static void read_over(HearthStoreThread *self, GQueue *writes, HearthOrder *order)
{
    int rc = hearth_db_exec(self->db, "BEGIN");
    for (GList *link = writes->head; link && !rc; link = link->next)
        rc = apply(self, ((HearthOrder *)link->data)->write);
    read_one(self, order); /* even if that failed: what is on the disk is better than nothing */
    rollback(self);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* With the mutex held: the first read of the queue with the writes before it, or NULL. */
static HearthOrder *steal_read(HearthStoreThread *self, GQueue *ret_writes)
{
    GList *link = self->queue.orders.head;
    while (link && !((HearthOrder *)link->data)->read) link = link->next;
    if (!link) return NULL;
    HearthOrder *order;
    while (!(order = hearth_queue_pop(&self->queue))->read) g_queue_push_tail(ret_writes, order);
    return order;
}

/* In trouble: reads go on, writes are tried when it is time. False: wait until retry_at. */
static bool turn_in_trouble(HearthStoreThread *self)
{
    GQueue writes = G_QUEUE_INIT;
    HearthOrder *order = steal_read(self, &writes);
    if (order) {
        hearth_unlock(&self->mutex);
        read_over(self, &writes, order);
        hearth_lock(&self->mutex);
        hearth_queue_put_back(&self->queue, &writes);
        return true;
    }
    bool now = g_get_monotonic_time() >= self->retry_at;
    if (!now && g_queue_is_empty(&self->background)) return false;
    guint n = now ? self->queue.orders.length : 0;
    gint64 tried_at = self->retry_at; /* another value: it failed again */
    hearth_unlock(&self->mutex);
    if (!now) read_one(self, g_queue_pop_head(&self->background));
    while (n-- > 0 && self->retry_at == tried_at) {
        hearth_lock(&self->mutex);
        HearthOrder *first = g_queue_peek_head(&self->queue.orders);
        order = first && first->write ? hearth_queue_pop(&self->queue) : NULL;
        hearth_unlock(&self->mutex);
        if (!order) break;
        write_one(self, order);
    }
    if (now && self->retry_at == tried_at) commit(self);
    hearth_lock(&self->mutex);
    return true;
}

/* With the mutex held, and again at return. False: there is nothing to do. */
static bool turn(HearthStoreThread *self)
{
    if (self->trouble) return turn_in_trouble(self);
    HearthOrder *order = hearth_queue_pop(&self->queue);
    if (!order && g_queue_is_empty(&self->batch) && g_queue_is_empty(&self->background))
        return false;
    hearth_unlock(&self->mutex);
    if (order && order->write) {
        write_one(self, order);
    } else {
        commit(self);
        if (self->trouble && order) { /* it must see the writes that have just failed */
            hearth_lock(&self->mutex);
            hearth_queue_push(&self->queue, order);
            return true;
        }
        if (!order) order = g_queue_pop_head(&self->background);
        if (order) read_one(self, order);
    }
    hearth_lock(&self->mutex);
    return true;
}

/* Nothing to do now: waits. With the mutex held. False: it is the end. */
static bool wait_for_work(HearthStoreThread *self)
{
    bool open = self->db != NULL;
    if (self->closing) {
        bool waiting = open && self->trouble && !g_queue_is_empty(&self->queue.orders);
        if (!waiting || g_get_monotonic_time() >= self->deadline) return false;
    }
    gint64 until = self->trouble ? self->retry_at : G_MAXINT64;
    if (self->closing)
        until = MIN(MIN(until, self->deadline), g_get_monotonic_time() + RETRY_AT_END_AFTER);
    if (until == G_MAXINT64)
        hearth_wait(&self->cond, &self->mutex);
    else
        hearth_wait_until(&self->cond, &self->mutex, until);
    if (self->closing) self->retry_at = MIN(self->retry_at, g_get_monotonic_time());
    return true;
}

static void open_db(HearthStoreThread *self)
{
    HearthOrder *order = g_new0(HearthOrder, 1);
    order->read = g_steal_pointer(&self->opener);
    hearth_unlock(&self->mutex);
    if (self->db) commit(self);
    order->read->run(order->read, NULL, &order->read->error);
    deliver(self, order);
    hearth_lock(&self->mutex);
}

/* What nobody will answer or write any more. */
static void drop_rest(HearthStoreThread *self)
{
    HearthOrder *order;
    while ((order = hearth_queue_pop(&self->queue)) ||
           (order = g_queue_pop_head(&self->background))) {
        if (!order->read) {
            hearth_order_free(order);
            continue;
        }
        g_set_error_literal(&order->read->error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Closing");
        deliver(self, order);
    }
}

static gpointer run(gpointer data)
{
    HearthStoreThread *self = data;
    hearth_lock(&self->mutex);
    for (;;) {
        if (self->opener) open_db(self);
        if (self->db && turn(self)) continue;
        if (!wait_for_work(self)) break;
    }
    self->ended = TRUE;
    drop_rest(self);
    hearth_unlock(&self->mutex);
    g_clear_pointer(&self->db, hearth_db_free);
    return NULL;
}

/* ---- for others ------------------------------------------------------------------------------ */

HearthStoreThread *hearth_store_thread_new(const char *path, GObject *store)
{
    HearthStoreThread *self = g_new0(HearthStoreThread, 1);
    g_mutex_init(&self->mutex);
    g_cond_init(&self->cond);
    hearth_queue_init(&self->queue);
    hearth_queue_init(&self->unkept);
    self->context = g_main_context_ref_thread_default();
    self->store = store;
    self->path = g_strdup(path);
    /* So that neither what is begun before the database is open nor a second program at the same
     * file hands out an id that is taken. */
    self->last_id = g_get_real_time();
    self->gthread = g_thread_new("store", run, self);
    return self;
}

void hearth_store_thread_close(HearthStoreThread *self, int seconds)
{
    if (!self->gthread) return;
    hearth_lock(&self->mutex);
    self->deadline = g_get_monotonic_time() + seconds * G_TIME_SPAN_SECOND;
    g_atomic_int_set(&self->closing, TRUE);
    g_cond_signal(&self->cond);
    hearth_unlock(&self->mutex);
    g_thread_join(g_steal_pointer(&self->gthread));
}

void hearth_store_thread_free(HearthStoreThread *self)
{
    if (!self) return;
    g_assert(!self->gthread);
    hearth_queue_clear(&self->queue);
    hearth_queue_clear(&self->unkept);
    g_main_context_unref(self->context);
    g_mutex_clear(&self->mutex);
    g_cond_clear(&self->cond);
    g_free(self->path);
    g_free(self);
}

static void push(HearthStoreThread *self, HearthWrite *write, HearthRead *read)
{
    HearthOrder *order = g_new0(HearthOrder, 1);
    order->write = write;
    order->read = read;
    if (read) read->thread = self;
    hearth_lock(&self->mutex);
    hearth_queue_push(&self->queue, order);
    if (self->ended) drop_rest(self);
    g_cond_signal(&self->cond);
    hearth_unlock(&self->mutex);
}

void hearth_store_thread_write(HearthStoreThread *self, HearthWrite *write)
{
    push(self, write, NULL);
}

void hearth_store_thread_read(HearthStoreThread *self, HearthRead *read) { push(self, NULL, read); }

void hearth_store_thread_refuse(HearthRead *read, GError *error)
{
    read->error = error;
    attach(read->thread, on_deliver, read, (GDestroyNotify)read_free);
}

void hearth_store_thread_open(HearthStoreThread *self, HearthRead *read)
{
    read->thread = self;
    hearth_lock(&self->mutex);
    self->opener = read;
    g_cond_signal(&self->cond);
    hearth_unlock(&self->mutex);
}

const char *hearth_store_thread_get_path(HearthStoreThread *self) { return self->path; }

bool hearth_store_thread_is_open(HearthStoreThread *self) { return self->db != NULL; }
bool hearth_store_thread_stands_in(HearthStoreThread *self) { return self->stands_in; }

void hearth_store_thread_set_db(HearthStoreThread *self, HearthDb *db, bool stands_in,
                                gint64 last_id)
{
    hearth_lock(&self->mutex);
    g_clear_pointer(&self->db, hearth_db_free);
    self->db = db;
    self->stands_in = stands_in;
    self->last_id = MAX(self->last_id, last_id);
    if (!stands_in) {
        g_hash_table_remove_all(self->unkept.partials);
        hearth_queue_put_back(&self->queue, &self->unkept.orders);
    }
    hearth_unlock(&self->mutex);
}

gint64 hearth_store_thread_new_ids(HearthStoreThread *self, guint n)
{
    hearth_lock(&self->mutex);
    gint64 first = self->last_id + 1;
    self->last_id += n;
    hearth_unlock(&self->mutex);
    return first;
}
