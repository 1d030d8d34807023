/* Whether the GPU is used, how much of its memory, what rules say of it, and what would come of
 * that; with the button that loads the model again so that it takes effect. */
#ifndef HEARTH_GPU_GROUP_H
#define HEARTH_GPU_GROUP_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_GPU_GROUP (hearth_gpu_group_get_type())
G_DECLARE_FINAL_TYPE(HearthGpuGroup, hearth_gpu_group, HEARTH, GPU_GROUP, AdwPreferencesGroup)

GtkWidget *hearth_gpu_group_new(HearthApp *app);

#endif
