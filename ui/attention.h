/* What the program asks of the desktop while it works: a notification when an answer ends and the
 * window is not looked at, and no sleep while an answer is computed. */
#ifndef HEARTH_ATTENTION_H
#define HEARTH_ATTENTION_H

#include <gtk/gtk.h>

#include "app.h"

typedef struct HearthAttention HearthAttention;

/* At the start, before the main loop runs: looks for a file. */
HearthAttention *hearth_attention_new(GtkApplication *application, HearthApp *app);
void hearth_attention_free(HearthAttention *attention);

#endif
