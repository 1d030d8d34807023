/* A model in the list of the model menu: the built-in one, or a file opened before. Looks after the
 * file by itself each time it is shown: a missing one is dimmed with the reason.
 *
 * Signal "remove": the person wants it out of the list. */
#ifndef HEARTH_MODEL_ROW_H
#define HEARTH_MODEL_ROW_H

#include <adwaita.h>
#include <stdbool.h>

#define HEARTH_TYPE_MODEL_ROW (hearth_model_row_get_type())
G_DECLARE_FINAL_TYPE(HearthModelRow, hearth_model_row, HEARTH, MODEL_ROW, AdwActionRow)

/* `path` "": the built-in model. */
GtkWidget *hearth_model_row_new(const char *path);
const char *hearth_model_row_get_path(HearthModelRow *row);
void hearth_model_row_set_current(HearthModelRow *row, bool current);

#endif
