/* Ember, the small model that comes with Hearth: its GGUF file lies inside the program. */
#ifndef HEARTH_MODELS_EMBER_H
#define HEARTH_MODELS_EMBER_H

#include <stddef.h>

/* The whole file, aligned to 64 bytes, valid for as long as the program runs. */
const void *hearth_ember_data(size_t *ret_size);

#endif
