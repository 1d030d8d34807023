/* Opens the model that a command works with: a file, or the built-in one. */
#ifndef HEARTH_CLI_LOADER_H
#define HEARTH_CLI_LOADER_H

#include "cli/base/options.h"

typedef struct {
    const char *path; /* NULL = Ember */
    int threads;      /* 0 = the engine's choice */
    int batch;        /* 0 = the engine's choice */
    bool quiet;       /* no progress line */
    bool copy;        /* see EngModelSettings */
    int context;      /* of the sessions to come; 0 = the engine's choice */
    EngKvType kv;
    HearthGpuOptions gpu;
    HearthExpertOptions experts;
} HearthLoad;

/* `settings` with what was said of the GPU; g_free() *ret_rules behind opening. */
bool hearth_loader_gpu(const HearthGpuOptions *gpu, EngModelSettings *settings, char **ret_rules,
                       GError **error);
/* Says on the standard error that a GPU was asked for and is not used, or that it has failed. */
void hearth_loader_tell_gpu(const HearthGpuOptions *gpu, const EngModel *model);
bool hearth_loader_tell_lost(const EngModel *model);

/* Opens it and brings the weights into memory, which takes *ret_seconds unless NULL.
 * eng_model_free(). */
EngModel *hearth_loader_open(const HearthLoad *load, double *ret_seconds, GError **error);

/* Brings the weights of a model that is open into memory; `doing` begins the progress line, NULL:
 * there is none. */
bool hearth_loader_bring_in(EngModel *model, const char *doing, GError **error);

/* Tokenizer and template only: also for files without weights. */
EngModel *hearth_loader_open_vocab(const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngModel, eng_model_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngSession, eng_session_free)

#endif
