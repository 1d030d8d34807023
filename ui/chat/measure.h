/* Sizes that go with the size of the text. */
#ifndef HEARTH_CHAT_MEASURE_H
#define HEARTH_CHAT_MEASURE_H

#include <gtk/gtk.h>

/* How wide a message or the composer is at most, px: more with large text, so that a line has room
 * for as many words. */
int hearth_chat_measure_column(GtkWidget *widget);

/* How high so many lines of the widget's text are, px. */
int hearth_chat_measure_lines(GtkWidget *widget, int lines);

#endif
