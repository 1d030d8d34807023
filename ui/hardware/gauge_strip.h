/* The model's state, VRAM, DRAM, context and speed: in 260 pixels at the sidebar's foot, or in one
 * line or two below the conversation while there is no sidebar, without what can be left out.
 * Pressing it opens the hardware page (action "win.hardware"). Samples nothing while unseen. */
#ifndef HEARTH_GAUGE_STRIP_H
#define HEARTH_GAUGE_STRIP_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_GAUGE_STRIP (hearth_gauge_strip_get_type())
G_DECLARE_FINAL_TYPE(HearthGaugeStrip, hearth_gauge_strip, HEARTH, GAUGE_STRIP, AdwBin)

typedef enum {
    HEARTH_GAUGES_COLUMN, /* at first */
    HEARTH_GAUGES_LINE,
    HEARTH_GAUGES_TWO_LINES
} HearthGaugeForm;

GtkWidget *hearth_gauge_strip_new(HearthApp *app);
void hearth_gauge_strip_set_form(HearthGaugeStrip *strip, HearthGaugeForm form);

#endif
