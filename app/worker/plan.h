/* Where a model lies or would lie, and how fast that should be: a plan of the engine in the words
 * of the program. Immutable, counted. */
#ifndef HEARTH_WORKER_PLAN_H
#define HEARTH_WORKER_PLAN_H

#include <glib-object.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    HEARTH_KIND_EXPERTS, /* routed */
    HEARTH_KIND_SHARED_EXPERTS,
    HEARTH_KIND_DENSE, /* feed-forward of layers without experts */
    HEARTH_KIND_ATTENTION,
    HEARTH_KIND_EMBEDDING,
    HEARTH_KIND_HEAD,
    HEARTH_KIND_OTHER, /* norms, router; of a plan: what is not used */
    HEARTH_KIND_KV,
    HEARTH_KIND_BUFFERS,
    HEARTH_KIND_CACHE, /* of single experts, which lie in DRAM as well */
    HEARTH_N_KINDS
} HearthKind;

typedef enum {
    HEARTH_DEVICE_DRAM,
    HEARTH_DEVICE_VRAM,
    HEARTH_DEVICE_DISK, /* read from there each time */
    HEARTH_N_DEVICES
} HearthDevice;

typedef uint64_t HearthBytes[HEARTH_N_KINDS][HEARTH_N_DEVICES];

typedef struct {
    char *gpu;        /* its name; NULL = none is used */
    char *gpu_reason; /* a sentence: why not; NULL = it is used */
    int n_gpus;       /* that are used */
    bool no_room;     /* because not enough of its memory is free */
    bool assumed;     /* there is no such GPU here */
    uint64_t vram;    /* bytes that the plan may use, vram_reserve of them left alone */
    uint64_t vram_reserve;
    int context;                                /* tokens */
    HearthBytes bytes;                          /* attention's kind has norms and routers, too */
    double decode_tok_s, prefill_tok_s, load_s; /* predicted */
    int prompt;                                 /* tokens that prefill_tok_s is for */
    /* What most of the time goes to, as eng_plan() names it: "DRAM reading". Static. */
    const char *decode_term, *prefill_term;
} HearthPlan;

#define HEARTH_TYPE_PLAN (hearth_plan_get_type())
GType hearth_plan_get_type(void);
HearthPlan *hearth_plan_ref(HearthPlan *plan);
void hearth_plan_unref(HearthPlan *plan); /* NULL: nothing */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthPlan, hearth_plan_unref)

uint64_t hearth_bytes_total(const HearthBytes bytes, HearthDevice device);

#endif
