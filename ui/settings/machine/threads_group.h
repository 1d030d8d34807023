/* How many threads compute, and the button that loads the model again so that it takes effect. */
#ifndef HEARTH_THREADS_GROUP_H
#define HEARTH_THREADS_GROUP_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_THREADS_GROUP (hearth_threads_group_get_type())
G_DECLARE_FINAL_TYPE(HearthThreadsGroup, hearth_threads_group, HEARTH, THREADS_GROUP,
                     AdwPreferencesGroup)

GtkWidget *hearth_threads_group_new(HearthApp *app);

#endif
