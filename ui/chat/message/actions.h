/* What can be done with a message, as a row of small buttons under it, with the switch between its
 * versions and, for an answer, its numbers. Seen when the row is pointed at or has the focus. */
#ifndef HEARTH_MESSAGE_ACTIONS_H
#define HEARTH_MESSAGE_ACTIONS_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_MESSAGE_ACTIONS (hearth_message_actions_get_type())
G_DECLARE_FINAL_TYPE(HearthMessageActions, hearth_message_actions, HEARTH, MESSAGE_ACTIONS,
                     GtkWidget)

typedef enum {
    HEARTH_ACTION_COPY,
    HEARTH_ACTION_EDIT,
    HEARTH_ACTION_REGENERATE,
    HEARTH_ACTION_DELETE,
    HEARTH_ACTION_PREVIOUS,
    HEARTH_ACTION_NEXT,
    HEARTH_N_ACTIONS
} HearthAction;

/* Signal "chosen" (int HearthAction). */

GtkWidget *hearth_message_actions_new(HearthApp *app, HearthMessage *message);

/* Shows what holds now. `busy`: what would ask for an answer has to wait. */
void hearth_message_actions_update(HearthMessageActions *actions, bool busy);

/* The action whose button has the focus, or -1; and the other way round. */
int hearth_message_actions_get_focused(HearthMessageActions *actions);
bool hearth_message_actions_focus(HearthMessageActions *actions, HearthAction action);

#endif
