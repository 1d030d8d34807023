/* How fast the loaded model should be by its plan, next to what its last answer measured, and who
 * computes. Hidden while there is no model. */
#ifndef HEARTH_FORECAST_H
#define HEARTH_FORECAST_H

#include <adwaita.h>

#include "worker/worker.h"

#define HEARTH_TYPE_FORECAST (hearth_forecast_get_type())
G_DECLARE_FINAL_TYPE(HearthForecast, hearth_forecast, HEARTH, FORECAST, AdwPreferencesGroup)

/* Follows the worker by itself. */
GtkWidget *hearth_forecast_new(HearthWorker *worker);

/* The lines as text, one per row: for the report; "" without a model; g_free(). */
char *hearth_forecast_text(HearthWorker *worker);

#endif
