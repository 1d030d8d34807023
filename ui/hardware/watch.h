/* Lets the telemetry sample for as long as a widget can be seen: mapped, in a window that is not
 * minimised. Ends with the widget. */
#ifndef HEARTH_WATCH_H
#define HEARTH_WATCH_H

#include <gtk/gtk.h>

#include "telemetry.h"

/* Once per widget. `changed` (swapped, with `widget`) at every sample, rate and host that comes
 * while watching, and once when watching begins. */
void hearth_watch_while_seen(GtkWidget *widget, HearthTelemetry *telemetry, GCallback changed);

#endif
