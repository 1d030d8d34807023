/* The directory of a model that nobody trained, as eng_header_write wants it. Each program is one
 * file, so everything is static. */
#ifndef TENSORS_H
#define TENSORS_H

#include <stdio.h>

#include "engine.h"

enum { MAX_TENSORS = 2048 };
static EngTensorShape tensors[MAX_TENSORS];
static char names[MAX_TENSORS][64];
static size_t n_tensors;

/* Rows of a numbers; b and c 0 = none such. layer -1: of the whole model. */
static void add(const char *type, int layer, const char *name, int a, int b, int c)
{
    char *full = names[n_tensors];
    if (layer < 0)
        snprintf(full, sizeof names[0], "%s", name);
    else
        snprintf(full, sizeof names[0], "blk.%d.%s", layer, name);
    uint64_t shape[3] = {(uint64_t)a, (uint64_t)b, (uint64_t)c};
    EngTensorShape t = {.name = full, .type = type, .n_dims = c ? 3 : b ? 2 : 1};
    for (int i = 0; i < 3; i++) t.shape[i] = shape[i];
    tensors[n_tensors++] = t;
}

#endif
