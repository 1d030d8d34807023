/* The last three lines of a text that grows. Costs the same however long the text is. */
#ifndef HEARTH_MESSAGE_PEEK_H
#define HEARTH_MESSAGE_PEEK_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_MESSAGE_PEEK (hearth_message_peek_get_type())
G_DECLARE_FINAL_TYPE(HearthMessagePeek, hearth_message_peek, HEARTH, MESSAGE_PEEK, GtkWidget)

GtkWidget *hearth_message_peek_new(void);

void hearth_message_peek_set_text(HearthMessagePeek *peek, const char *text, size_t len);

#endif
