/* The strip at the sidebar's foot: the model's state, VRAM, DRAM, context and speed in 260 pixels.
 * Pressing it opens the hardware page (action "win.hardware"). Samples nothing while unseen. */
#ifndef HEARTH_GAUGE_STRIP_H
#define HEARTH_GAUGE_STRIP_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_GAUGE_STRIP (hearth_gauge_strip_get_type())
G_DECLARE_FINAL_TYPE(HearthGaugeStrip, hearth_gauge_strip, HEARTH, GAUGE_STRIP, AdwBin)

GtkWidget *hearth_gauge_strip_new(HearthApp *app);

#endif
