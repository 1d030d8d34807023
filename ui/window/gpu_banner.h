/* A strip that says that the GPU failed, that the CPU goes on, and loads the model again. */
#ifndef HEARTH_GPU_BANNER_H
#define HEARTH_GPU_BANNER_H

#include <gtk/gtk.h>

#include "app.h"

/* Follows the worker by itself. */
GtkWidget *hearth_gpu_banner_new(HearthApp *app);

/* What is said once, when a model has been loaded without the GPU for want of room; NULL = nothing.
 * g_free(). */
char *hearth_gpu_banner_no_room(const HearthModelInfo *info);

#endif
