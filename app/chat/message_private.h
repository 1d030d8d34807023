/* What a conversation may do to its messages. */
#ifndef HEARTH_CHAT_MESSAGE_PRIVATE_H
#define HEARTH_CHAT_MESSAGE_PRIVATE_H

#include "chat/message.h"

/* Copies the row. */
HearthMessage *hearth_message_new(const HearthMessageRow *row);

/* The row as it is now; borrowed until the next change. */
const HearthMessageRow *hearth_message_get_row(HearthMessage *message);

/* Appended to in place; hearth_message_touched tells the listeners. */
GString *hearth_message_edit_content(HearthMessage *message);
GString *hearth_message_edit_thinking(HearthMessage *message);
void hearth_message_touched(HearthMessage *message, bool content, bool thinking);

void hearth_message_set_state(HearthMessage *message, HearthState state);
void hearth_message_set_progress(HearthMessage *message, gint64 done, gint64 total,
                                 double seconds_left);
void hearth_message_set_stats(HearthMessage *message, const HearthStats *stats);
void hearth_message_set_model(HearthMessage *message, const char *model);
void hearth_message_set_error(HearthMessage *message, const char *error);
void hearth_message_set_version(HearthMessage *message, int version, int n_versions);

#endif
