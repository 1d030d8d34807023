/* For those who measure: with HEARTH_TRACE set, the program tells on standard error, with monotonic
 * time in microseconds,
 *
 *   frame NAME CPU_MS TIME  the first frame after something that was waited for is drawn: "window",
 *                           "conversation", "search"; what the thread has computed since its beginning
 *   stall MS CPU_MS TIME    the main loop was kept from its events for longer than 50 ms; what of it
 *                           was spent computing (Linux), the rest the thread did not get to run
 *
 * Otherwise these do nothing. Main thread only. */
#ifndef HEARTH_TRACE_H
#define HEARTH_TRACE_H

#include <gtk/gtk.h>

void hearth_trace_init(void);

/* Its next frame that is drawn is told by that name. */
void hearth_trace_frame(GtkWidget *widget, const char *name);

#endif
