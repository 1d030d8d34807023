/* A row that offers to load the model again: what was set counts from the next loading on. */
#ifndef HEARTH_RELOAD_ROW_H
#define HEARTH_RELOAD_ROW_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_RELOAD_ROW (hearth_reload_row_get_type())
G_DECLARE_FINAL_TYPE(HearthReloadRow, hearth_reload_row, HEARTH, RELOAD_ROW, AdwActionRow)

/* Hidden until it is set. */
GtkWidget *hearth_reload_row_new(HearthApp *app);

/* `title` NULL: that the model has to be loaded again. `text`: why; NULL hides the row. */
void hearth_reload_row_set(HearthReloadRow *row, const char *title, const char *text);

#endif
