/* The preferences: General, Chat, Model, Personas. Everything applies at once. */
#ifndef HEARTH_PREFERENCES_H
#define HEARTH_PREFERENCES_H

#include <adwaita.h>

#include "app.h"

/* For hearth_compat_preferences_present. */
GtkWidget *hearth_preferences_new(HearthApp *app);

#endif
