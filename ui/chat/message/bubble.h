/* What the person wrote, as it was typed, in a tinted bubble at the end side; a long one is cut
 * after twelve lines until it is asked for whole. */
#ifndef HEARTH_MESSAGE_BUBBLE_H
#define HEARTH_MESSAGE_BUBBLE_H

#include <gtk/gtk.h>

#include "../memo.h"

#define HEARTH_TYPE_MESSAGE_BUBBLE (hearth_message_bubble_get_type())
G_DECLARE_FINAL_TYPE(HearthMessageBubble, hearth_message_bubble, HEARTH, MESSAGE_BUBBLE, GtkWidget)

/* text: borrowed for as long as the widget lives. */
GtkWidget *hearth_message_bubble_new(const char *text, HearthMessageMemo *memo);

#endif
