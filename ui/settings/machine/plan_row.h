/* What the settings of now would make of the model at its next loading: how fast, what of it where;
 * or why it cannot be. Makes the plan anew when a setting or the model changes, off the main loop;
 * not with rules that load a plug-in, whose code would run while one types.
 *
 * Signal "planned": there is news of hearth_plan_row_get_error(). */
#ifndef HEARTH_PLAN_ROW_H
#define HEARTH_PLAN_ROW_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_PLAN_ROW (hearth_plan_row_get_type())
G_DECLARE_FINAL_TYPE(HearthPlanRow, hearth_plan_row, HEARTH, PLAN_ROW, AdwExpanderRow)

GtkWidget *hearth_plan_row_new(HearthApp *app);

/* Why there can be no plan; NULL = there is one, or none yet. Borrowed. */
const GError *hearth_plan_row_get_error(HearthPlanRow *row);

#endif
