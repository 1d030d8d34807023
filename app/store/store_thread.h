/* The store's thread: one queue of writes and reads, in order; many writes in one transaction.
 *
 * It owns the database. Others hand it jobs and get their results on the main loop. When a
 * transaction fails, its writes go back to the head of the queue and are tried again every two
 * seconds; meanwhile reads still see them, in a transaction that is rolled back. */
#ifndef HEARTH_STORE_THREAD_H
#define HEARTH_STORE_THREAD_H

#include "store/queue.h"

typedef struct HearthStoreThread HearthStoreThread;

/* What a read's function says after a slice of work. */
typedef enum {
    HEARTH_READ_DONE,  /* `result` is there */
    HEARTH_READ_MORE,  /* call again when there is nothing more urgent */
    HEARTH_READ_FAILED /* *error is set */
} HearthReadState;

typedef HearthReadState (*HearthReadRun)(HearthRead *read, HearthDb *db, GError **error);

/* A job with an answer. Whoever reads fills it in; freed on the main loop. */
struct HearthRead {
    GTask *task; /* its own */
    HearthReadRun run;
    void *data; /* of `run` */
    GDestroyNotify free_data;
    void *result; /* NULL with free_result NULL: true */
    GDestroyNotify free_result;
    HearthStoreThread *thread; /* set when it is handed over */
    /* not for others */
    GError *error;
};

/* `store` is only named in signals, by weak reference. Answers go to the main context of the
 * caller. */
HearthStoreThread *hearth_store_thread_new(const char *path, GObject *store);

/* Joins the thread; see hearth_store_close. Idempotent. */
void hearth_store_thread_close(HearthStoreThread *thread, int seconds);
void hearth_store_thread_free(HearthStoreThread *thread); /* after close; NULL allowed */

/* From any thread: */
void hearth_store_thread_write(HearthStoreThread *thread, HearthWrite *write); /* takes it */
void hearth_store_thread_read(HearthStoreThread *thread, HearthRead *read);    /* takes it */
/* Answers without having read; takes both. `read` has its thread. */
void hearth_store_thread_refuse(HearthRead *read, GError *error);
/* A read that goes before all else: nothing is done before it has run. Its `run` ends with
 * hearth_store_thread_set_db(); a later one need not. */
void hearth_store_thread_open(HearthStoreThread *thread, HearthRead *read);

/* On the thread. */
const char *hearth_store_thread_get_path(HearthStoreThread *thread);
bool hearth_store_thread_is_open(HearthStoreThread *thread);
bool hearth_store_thread_stands_in(HearthStoreThread *thread);
/* `stands_in`: for the file, which cannot be opened; all that is written to it is also kept, and is
 * written to the file when that takes its place. */
void hearth_store_thread_set_db(HearthStoreThread *thread, HearthDb *db, bool stands_in,
                                gint64 last_id);

/* The first of n new ids. From any thread. */
gint64 hearth_store_thread_new_ids(HearthStoreThread *thread, guint n);

#endif
