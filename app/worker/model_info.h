/* What is known of a loaded model, for whoever shows it. Immutable, counted. */
#ifndef HEARTH_WORKER_MODEL_INFO_H
#define HEARTH_WORKER_MODEL_INFO_H

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
    HEARTH_KIND_OTHER, /* norms, router */
    HEARTH_KIND_KV,
    HEARTH_KIND_BUFFERS,
    HEARTH_N_KINDS
} HearthKind;

typedef enum { HEARTH_DEVICE_DRAM, HEARTH_DEVICE_VRAM, HEARTH_N_DEVICES } HearthDevice;

typedef struct {
    char *path; /* NULL = built in */
    char *name; /* general.name, else the file's name */
    char *arch, *quant;
    uint64_t parameters, active_parameters;
    int n_layers, n_experts, n_experts_used, context_trained, threads;
    bool has_template, has_vocabulary;
    uint64_t kv_bytes_per_token[3];                   /* see hearth_model_info_kv_bytes */
    uint64_t bytes[HEARTH_N_KINDS][HEARTH_N_DEVICES]; /* KV: of the sessions that exist */
} HearthModelInfo;

#define HEARTH_TYPE_MODEL_INFO (hearth_model_info_get_type())
GType hearth_model_info_get_type(void);
HearthModelInfo *hearth_model_info_ref(HearthModelInfo *info);
void hearth_model_info_unref(HearthModelInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthModelInfo, hearth_model_info_unref)

uint64_t hearth_model_info_total(const HearthModelInfo *info, HearthDevice device);
/* Of each token of context; `type` as the setting "kv-type" has it. */
uint64_t hearth_model_info_kv_bytes(const HearthModelInfo *info, const char *type);

#endif
