/* Shapes of known models, from data/catalog.json: enough to write the header of a GGUF file that
 * nobody needs to have. What reads headers then works for models that are only thought of.
 *
 * The catalog says, by family, which of a shape's numbers go into which metadata and what tensors
 * there are; a tensor that mentions a number the shape lacks is not there. "blk." stands for every
 * layer, "dense." and "sparse." for those without and with experts. A quantization is a list of
 * patterns, of which the first that fits a tensor names its type; "some": only in the layers that
 * llama.cpp's K_M mixes choose. Vectors and routers are F32, and rows too short for blocks of 256
 * take the nearest type of 32. */
#ifndef HEARTH_MODELS_SHAPE_H
#define HEARTH_MODELS_SHAPE_H

#include "error_from.h"

typedef struct {
    char *name;  /* "DeepSeek-R1 671B" */
    char *quant; /* "Q4_K_M" */
    EngHeader header;
} HearthShape;

/* `shape`: "deepseek-r1"; `quant`: "Q4_K_M", …, in any case of letters. An unknown one is a usage
 * error that names all. */
HearthShape *hearth_shape_new(const char *shape, const char *quant, GError **error);
void hearth_shape_free(HearthShape *shape);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthShape, hearth_shape_free)

/* "deepseek-r1, kimi-k2, …" and "Q2_K, …"; g_free(). */
char *hearth_shape_names(void);
char *hearth_shape_quants(void);
bool hearth_shape_is_known(const char *shape);

#endif
