/* One message as a row of the transcript: a tinted bubble for what the person wrote; the model's
 * name, its thinking, its text, its state and its footer for an answer; with what can be done with
 * it. Listens to the message itself; text that comes is shown when the row is mapped. */
#ifndef HEARTH_MESSAGE_VIEW_H
#define HEARTH_MESSAGE_VIEW_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_MESSAGE_VIEW (hearth_message_view_get_type())
G_DECLARE_FINAL_TYPE(HearthMessageView, hearth_message_view, HEARTH, MESSAGE_VIEW, GtkWidget)

GtkWidget *hearth_message_view_new(HearthApp *app, HearthConversation *conversation,
                                   HearthMessage *message);

HearthMessage *hearth_message_view_get_message(HearthMessageView *view); /* borrowed */

/* Whether it is the last one of its branch; also to be called when the conversation's "busy"
 * changes. */
void hearth_message_view_set_last(HearthMessageView *view, bool last);

/* What part of it is in view, px from its top: much more is not drawn. */
void hearth_message_view_set_shown(HearthMessageView *view, double from, double to);

/* Of what the person wrote. */
void hearth_message_view_edit(HearthMessageView *view);
bool hearth_message_view_is_editing(HearthMessageView *view);

/* The action whose button has the focus, or -1; and the focus to it, or to the row. For a row that
 * takes the place of another version. */
int hearth_message_view_get_focused_action(HearthMessageView *view);
void hearth_message_view_focus(HearthMessageView *view, int action);

/* Shows for a moment that this is the one that was looked for. */
void hearth_message_view_flash(HearthMessageView *view);

#endif
