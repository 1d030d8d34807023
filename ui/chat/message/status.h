/* What an answer waits for, or how it ended otherwise than well: one sentence, how far it is, and
 * the one thing to do about it. Nothing to see when there is nothing to say. */
#ifndef HEARTH_MESSAGE_STATUS_H
#define HEARTH_MESSAGE_STATUS_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_MESSAGE_STATUS (hearth_message_status_get_type())
G_DECLARE_FINAL_TYPE(HearthMessageStatus, hearth_message_status, HEARTH, MESSAGE_STATUS, GtkWidget)

GtkWidget *hearth_message_status_new(HearthApp *app, HearthConversation *conversation,
                                     HearthMessage *message);

/* Shows the message's state now. `last`: of its branch, so that it can go on. */
void hearth_message_status_update(HearthMessageStatus *status, bool last);

#endif
