/* The page of the personas: system prompts with names. Add, change, delete with undo. */
#ifndef HEARTH_PERSONAS_PAGE_H
#define HEARTH_PERSONAS_PAGE_H

#include <adwaita.h>

#include "app.h"

/* `preferences`: where the toasts appear; outlives the page. */
AdwPreferencesPage *hearth_personas_page_new(HearthApp *app, GtkWidget *preferences);

#endif
