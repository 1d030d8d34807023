/* The hardware page: 60 seconds of memory, speed and context as graphs, what of the model lives
 * where and how fast that should be, and the machine. Opened by "win.hardware"; samples nothing
 * while unseen. */
#ifndef HEARTH_HARDWARE_WINDOW_H
#define HEARTH_HARDWARE_WINDOW_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_HARDWARE_WINDOW (hearth_hardware_window_get_type())
G_DECLARE_FINAL_TYPE(HearthHardwareWindow, hearth_hardware_window, HEARTH, HARDWARE_WINDOW,
                     AdwWindow)

GtkWidget *hearth_hardware_window_new(HearthApp *app);

/* Scrolls to what lives where, also when it is only about to be shown. */
void hearth_hardware_window_show_plan(HearthHardwareWindow *window);

#endif
