/* What is known of a loaded model, for whoever shows it. Immutable, counted. */
#ifndef HEARTH_WORKER_MODEL_INFO_H
#define HEARTH_WORKER_MODEL_INFO_H

#include "worker/model_settings.h"
#include "worker/plan.h"

typedef enum {
    HEARTH_GPU_NONE, /* there is none that can be used, or it is switched off */
    HEARTH_GPU_WORKS,
    HEARTH_GPU_SLOWER,  /* the CPU alone is quicker */
    HEARTH_GPU_NO_ROOM, /* not enough of its memory is free */
    HEARTH_GPU_FAILED   /* while the model was loaded, or later */
} HearthGpuState;

typedef struct {
    char *path; /* NULL = built in */
    char *name; /* general.name, else the file's name */
    char *arch, *quant;
    uint64_t parameters, active_parameters;
    int n_layers, n_experts, n_experts_used, context_trained, threads;
    bool has_template, has_vocabulary;
    uint64_t kv_bytes_per_token[3]; /* see hearth_model_info_kv_bytes */
    HearthBytes bytes;              /* KV: of the sessions that exist */
    HearthModelSettings settings;   /* that it was opened with */
    HearthGpuState gpu_state;
    char *gpu;        /* its name when it works, else NULL */
    char *gpu_reason; /* a sentence when it does not, else NULL */
    HearthPlan *plan; /* as it is placed now; NULL = not known: the GPU failed */
    double load_s;    /* that loading took; 0 = not loaded yet */
} HearthModelInfo;

#define HEARTH_TYPE_MODEL_INFO (hearth_model_info_get_type())
GType hearth_model_info_get_type(void);
HearthModelInfo *hearth_model_info_ref(HearthModelInfo *info);
void hearth_model_info_unref(HearthModelInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthModelInfo, hearth_model_info_unref)

/* Tokens that a session with this setting, 0 = automatic, will have. */
int hearth_model_info_context(const HearthModelInfo *info, int wanted);

/* Of each token of context; `type` as the setting "kv-type" has it. */
uint64_t hearth_model_info_kv_bytes(const HearthModelInfo *info, const char *type);

#endif
