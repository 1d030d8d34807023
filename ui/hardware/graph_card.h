/* A quantity on the hardware page: its name, its value in large figures, what it is made of, and 60
 * seconds of it as a graph with its axes; or a sentence instead of the graph. */
#ifndef HEARTH_GRAPH_CARD_H
#define HEARTH_GRAPH_CARD_H

#include <adwaita.h>

#define HEARTH_TYPE_GRAPH_CARD (hearth_graph_card_get_type())
G_DECLARE_FINAL_TYPE(HearthGraphCard, hearth_graph_card, HEARTH, GRAPH_CARD, AdwBin)

/* `span`: what the width of the graph means: "60 s". */
GtkWidget *hearth_graph_card_new(const char *title, const char *span, size_t capacity);

/* `detail`: one dim line, or NULL. */
void hearth_graph_card_set_text(HearthGraphCard *card, const char *value, const char *detail);
void hearth_graph_card_set_values(HearthGraphCard *card, const double *values, size_t n, double max,
                                  const char *max_text);
/* The sentence that stands instead of the graph, e.g. why there is no GPU; NULL: the graph. */
void hearth_graph_card_set_reason(HearthGraphCard *card, const char *reason);

#endif
