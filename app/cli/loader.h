/* Opens the model that a command works with: a file, or the built-in one. */
#ifndef HEARTH_CLI_LOADER_H
#define HEARTH_CLI_LOADER_H

#include "error_from.h"

typedef struct {
    const char *path; /* NULL = Ember */
    int threads;      /* 0 = the engine's choice */
    int batch;        /* 0 = the engine's choice */
    bool quiet;       /* no progress line */
    bool copy;        /* see EngModelSettings */
} HearthLoad;

/* Opens it and brings the weights into memory. eng_model_free(). */
EngModel *hearth_loader_open(const HearthLoad *load, GError **error);

/* Brings the weights of a model that is open into memory; `doing` begins the progress line, NULL:
 * there is none. */
bool hearth_loader_bring_in(EngModel *model, const char *doing, GError **error);

/* Tokenizer and template only: also for files without weights. */
EngModel *hearth_loader_open_vocab(const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngModel, eng_model_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngSession, eng_session_free)

#endif
