/* A bar of segments whose widths are their shares of a whole; what is left of it stays empty. The
 * segments' colours are CSS (`stackedbar > segment.NAME`). */
#ifndef HEARTH_STACKED_BAR_H
#define HEARTH_STACKED_BAR_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_STACKED_BAR (hearth_stacked_bar_get_type())
G_DECLARE_FINAL_TYPE(HearthStackedBar, hearth_stacked_bar, HEARTH, STACKED_BAR, GtkWidget)

/* One segment per CSS class, all empty. `classes`: n static strings. */
GtkWidget *hearth_stacked_bar_new(const char *const *classes, size_t n);
/* `whole` < sum of values: the sum. */
void hearth_stacked_bar_set(HearthStackedBar *bar, const double *values, size_t n, double whole);

#endif
