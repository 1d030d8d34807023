/* The button in the header bar that says which model answers, how far its loading is or that it
 * failed; it opens the model menu. */
#ifndef HEARTH_MODEL_BUTTON_H
#define HEARTH_MODEL_BUTTON_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_MODEL_BUTTON (hearth_model_button_get_type())
G_DECLARE_FINAL_TYPE(HearthModelButton, hearth_model_button, HEARTH, MODEL_BUTTON, AdwBin)

GtkWidget *hearth_model_button_new(HearthApp *app);

/* Asks for a GGUF file and loads it: the action "win.open-model". */
void hearth_model_button_open_dialog(HearthModelButton *button);

#endif
