/* Opens models, and makes what model_info.h describes: the worker thread's business. */
#ifndef HEARTH_WORKER_MODEL_INFO_NEW_H
#define HEARTH_WORKER_MODEL_INFO_NEW_H

#include <engine.h>

#include "worker/model_info.h"

/* A copy, strings included. */
HearthModelInfo *hearth_model_info_new(const HearthModelInfo *like);

/* Of an opened model and the look into its file; no KV cache yet. `path` NULL = built in. */
HearthModelInfo *hearth_model_info_of(const EngModel *model, const EngPeek *peek, const char *path,
                                      const HearthModelSettings *settings);

/* model_open.c: with a person's settings; `path` NULL = built in. */
EngModel *hearth_model_open(const char *path, const HearthModelSettings *want,
                            HearthModelInfo **ret_info, EngError *failure);

/* Whether that would succeed once `gone` is closed. Reads no weights. */
bool hearth_model_check(const char *path, const HearthModelSettings *want, const EngModel *gone,
                        EngError *failure);

/* Which of its bytes are in VRAM now, but for KV caches; the GPU's state and the plan. */
void hearth_model_info_place(HearthModelInfo *info, const EngModel *model);

#endif
