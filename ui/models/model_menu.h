/* What the model button opens: the model of now (its details, its loading, why it failed) and the
 * others to change to: the built-in one, those opened before, a file.
 *
 * Signals: "picked": a model was chosen, the menu may close; "open": the person wants a file
 * dialog. */
#ifndef HEARTH_MODEL_MENU_H
#define HEARTH_MODEL_MENU_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_MODEL_MENU (hearth_model_menu_get_type())
G_DECLARE_FINAL_TYPE(HearthModelMenu, hearth_model_menu, HEARTH, MODEL_MENU, AdwBin)

GtkWidget *hearth_model_menu_new(HearthApp *app);

#endif
