/* What a model is called, loaded or not. g_free(). */
#ifndef HEARTH_MODEL_NAME_H
#define HEARTH_MODEL_NAME_H

#include "worker/model_info.h"

/* The file's name without folder, extension and part number; the built-in model's for NULL or "".
 */
char *hearth_model_name_of_path(const char *path);

/* "DeepSeek-R1 · Q4_K_M" */
char *hearth_model_name_of_info(const HearthModelInfo *info);

#endif
