/* What the model thought before it answered: a line that says how long, with a peek at the last
 * lines while it goes on, folded at the end. Opens only when the person opens it, and stays as the
 * person set it. */
#ifndef HEARTH_MESSAGE_THINKING_H
#define HEARTH_MESSAGE_THINKING_H

#include <gtk/gtk.h>

#include "../memo.h"
#include "chat/message.h"

#define HEARTH_TYPE_MESSAGE_THINKING (hearth_message_thinking_get_type())
G_DECLARE_FINAL_TYPE(HearthMessageThinking, hearth_message_thinking, HEARTH, MESSAGE_THINKING,
                     GtkWidget)

GtkWidget *hearth_message_thinking_new(HearthMessage *message, HearthMessageMemo *memo);

/* Shows what the message says now. */
void hearth_message_thinking_update(HearthMessageThinking *thinking);

/* The HearthMarkdownView of the whole text, once it has been opened; NULL before. Borrowed. */
GtkWidget *hearth_message_thinking_get_text(HearthMessageThinking *thinking);

#endif
