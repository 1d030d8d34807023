/* What computes: a backend walks a range of a graph's ops for a batch of tokens. It owns the
 * buffers that the graph's views point into; the session keeps everything that outlives a batch. */
#ifndef ENG_PLAN_BACKEND_H
#define ENG_PLAN_BACKEND_H

#include "engine.h"
#include "model/graph.h"
#include "model/kv.h"
#include "model/slot.h"

/* Tokens of one or several sessions; those of one session are neighbours, in ascending position. */
typedef struct {
    int n;
    const int32_t *tokens;    /* [n] ids, in range */
    const int32_t *positions; /* [n] below the session's context */
    EngKv *const *kvs;        /* [n] the session's cache */
    int n_out;
    const int32_t *out; /* [n_out] rows whose logits are wanted, ascending */
    bool tops;          /* of these, the ENG_TOPS largest will do */
    /* NULL, or: when it becomes other than 0 (any thread may set it, atomically) the run may be
     * left off. What it was to write is then of no use, and `left_off` says so. */
    const int *stop;
} EngBatch;

enum { ENG_TOPS = 64 };

/* The largest logits of rows, descending, of equal ones the lower token first; what is no finite
 * number comes before all others. */
typedef struct {
    float logits[ENG_TOPS];
    int32_t tokens[ENG_TOPS];
} EngTops;

typedef struct EngBackend EngBackend;
struct EngBackend {
    /* Runs ops first … first + n - 1. One caller at a time. Allocates nothing. */
    void (*run)(EngBackend *backend, int first, int n, const EngBatch *batch);
    /* [n_out][n_vocab] of the last run; borrowed until the next. */
    const float *(*logits)(const EngBackend *backend);
    /* [n_out] of the last run, when the batch allowed for it and logits stayed where they are:
     * there is nothing for `logits` then. Borrowed as these. NULL = never; may return NULL. */
    const EngTops *(*tops)(const EngBackend *backend);
    /* [rows][width] of one of the graph's buffers, between runs of ranges. */
    float *(*buffer)(EngBackend *backend, int buf);
    /* After a run whose last range is done: false, when its numbers are not to be used, as what
     * else computes beside the CPU has failed; it is then done without. NULL = nothing else does.
     */
    bool (*check)(EngBackend *backend, EngError *err);
    /* Copies with all of its threads, between runs. NULL = it has none. */
    void (*copy)(EngBackend *backend, void *to, const void *from, size_t bytes);
    void (*free)(EngBackend *backend);
    int max_tokens, max_out; /* per batch */
    /* Of the last run, by row: experts that a device had in its cache, and that it had not. Both 0
     * without a cache, and of rows beyond these. */
    struct {
        int hits, misses;
    } cached[8];
    int threads;
    bool left_off;          /* the last run; atomic while it goes on */
    size_t bytes;           /* of buffers */
    EngStreaming streaming; /* of the last run: where experts of the CPU's were multiplied */
    double *op_seconds;     /* [ops] the CPU's are added up here; NULL = nobody asks */
};

/* A device that computes some of a graph's ops beside the CPU (exec.h). What is enqueued runs in
 * order behind what was enqueued before; nothing up to `finish` waits. Failures show there. One
 * caller at a time, of any thread. */
typedef struct {
    EngView view;
    float *host; /* pinned: [rows][view.heads * view.n] */
} EngHandOver;

typedef struct EngDevice EngDevice;
struct EngDevice {
    int number; /* among a model's devices: kv->far[number] is its cache */
    /* Before calls when another device was called last. */
    void (*enter)(EngDevice *device);
    /* The batch's rows become the device's; `turn` is what flags are compared with. */
    void (*begin)(EngDevice *device, const EngBatch *batch, uint32_t turn);
    void (*op)(EngDevice *device, int op, int rows);
    /* Device to host, then *flag = turn; waits for *flag == turn, then host to device. */
    void (*publish)(EngDevice *device, const EngHandOver *moves, int n, int rows, uint32_t *flag);
    void (*accept)(EngDevice *device, const EngHandOver *moves, int n, int rows, bool add,
                   uint32_t *flag);
    /* The largest of each row of `view` into pinned memory: [rows]. */
    void (*tops)(EngDevice *device, EngView view, int rows, EngTops *pinned);
    /* What is enqueued between the two is kept under `key` (0 …) instead; replay enqueues it with
     * one call. false: not kept, and nothing was enqueued. */
    bool (*keep_begin)(EngDevice *device);
    bool (*keep_end)(EngDevice *device, int key);
    bool (*replay)(EngDevice *device, int key); /* false: nothing is kept under it */
    /* An EXPERTS op that is the host's, computed here, and with n = 2 the one that continues it
     * (eng_graph_continues): the weights come with it, once for both. It can be when its router is
     * the device's and the device was made for it. used: [experts] those that have tokens; NULL =
     * all may. */
    bool (*is_guest)(const EngDevice *device, int op);
    void (*guests)(EngDevice *device, int op, int n, int rows, const bool *used);
    bool (*failed)(EngDevice *device); /* already known to have */
    bool (*finish)(EngDevice *device, EngError *err);
    void *(*pinned)(EngDevice *device, size_t bytes, const char *what, EngError *err);

    /* Weights come piece by piece: where the next lies and how much of it to copy, at most `most`
     * (0: all are there); its copy. */
    uint64_t (*next)(EngDevice *device, uint64_t most, const uint8_t **ret_from);
    bool (*load)(EngDevice *device, uint64_t bytes, EngError *err);
    uint64_t weight_bytes, loaded; /* all, and those that are there */

    /* Makes the next part of what guests are copied from, where it lies then for good, ready for
     * copies that nobody waits for; bytes of guests, 0 = all that will be is. What is not is copied
     * through other memory by cpu->copy. */
    uint64_t (*pin)(EngDevice *device);
    uint64_t guest_bytes, pinned_bytes;    /* of all guests; pages */
    char pin_reason[160];                  /* why not all are */
    uint64_t guests_copied, bounced_bytes; /* so far; of those through other memory */
    double copied_gb_s, guests_gop_s;      /* when last measured, as plans count; 0 = not yet */
    EngBackend *cpu;                       /* set by who walks */

    /* kv->far[number]: memory for the layers whose attention is the device's; its own as long as
     * what is set aside for contexts lasts, then DRAM that it reaches. Bytes into it, from `at` on.
     */
    bool (*kv_new)(EngDevice *device, EngKv *kv, EngError *err);
    void (*kv_free)(EngDevice *device, EngKv *kv);
    bool (*kv_write)(EngDevice *device, const EngKv *kv, size_t at, const void *from, size_t bytes,
                     EngError *err);
    /* A cache of experts (cache/cache.h): n_slots places of slot_bytes; 0 = it has none. hits: of
     * an op that is not the device's, the chosen experts that are in the table, added to dst; few
     * rows. cache_set: the table's entry from the next `begin` on; slot < 0: none. cache_copy: from
     * pinned memory into a slot, beside what computes; cache_copied: whether that of the same
     * `pending`, below ENG_CACHE_PENDING, has been made. */
    int n_slots;
    size_t slot_bytes;
    uint64_t cache_bytes; /* that it takes, with the table */
    EngCachePolicy cache_policy;
    bool (*caches)(const EngDevice *device, int op);
    void (*hits)(EngDevice *device, int op, int rows);
    void (*cache_set)(EngDevice *device, int op, int expert, int slot);
    void (*cache_copy)(EngDevice *device, int pending, int slot, const void *pinned, size_t bytes);
    bool (*cache_copied)(EngDevice *device, int pending);
    bool cache_waits; /* for tests: every step copies all that is to come in, and waits for it */
    void (*free)(EngDevice *device);
};

enum { ENG_CACHE_PENDING = 2 };      /* experts on their way at once */
enum { ENG_GUEST_SLOT = 192 << 20 }; /* bytes that guests come in: several of R1's experts */
enum { ENG_VRAM_SPARE = 64 << 20 };  /* left alone for kernels that a driver loads later */
enum { ENG_HAND_VIEWS = 8 };         /* as many as kernels/args.h has */

#endif
