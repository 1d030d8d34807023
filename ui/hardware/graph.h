/* A filled line of the last values, the newest at the end side, in the widget's CSS `color`. Drawn
 * only when values are set: once a second, or five times for the speed.
 *
 * A picture to assistive technology: say what it shows with hearth_graph_describe. */
#ifndef HEARTH_GRAPH_H
#define HEARTH_GRAPH_H

#include <gtk/gtk.h>
#include <stdbool.h>

#define HEARTH_TYPE_GRAPH (hearth_graph_get_type())
G_DECLARE_FINAL_TYPE(HearthGraph, hearth_graph, HEARTH, GRAPH, GtkWidget)

/* `capacity`: how many values fill the width. `axes`: with lines for a quarter, a half and three.
 */
GtkWidget *hearth_graph_new(size_t capacity, bool axes);

/* Oldest first; at most the capacity. `max`: the value of the upper edge, > 0. */
void hearth_graph_set_values(HearthGraph *graph, const double *values, size_t n, double max);
void hearth_graph_describe(HearthGraph *graph, const char *name, const char *text);

/* An upper edge for values that have no bound of their own: 1, 2 or 5 times a power of ten. */
double hearth_graph_round_max(const double *values, size_t n, double least);

#endif
