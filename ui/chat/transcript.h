/* The shown branch of a conversation as a column of rows.
 *
 * Only what is near the view has widgets: rows are added a few a frame when the view comes near
 * them and dropped when it is far away, while what is read stays where it is (column.h). Follows an
 * answer that is being written when its end is in view; else a button leads there. */
#ifndef HEARTH_CHAT_TRANSCRIPT_H
#define HEARTH_CHAT_TRANSCRIPT_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_CHAT_TRANSCRIPT (hearth_chat_transcript_get_type())
G_DECLARE_FINAL_TYPE(HearthChatTranscript, hearth_chat_transcript, HEARTH, CHAT_TRANSCRIPT,
                     GtkWidget)

GtkWidget *hearth_chat_transcript_new(HearthApp *app);

/* NULL: none. */
void hearth_chat_transcript_set_conversation(HearthChatTranscript *transcript,
                                             HearthConversation *conversation);

/* Home, End, Page_Up, Page_Down; false for any other key. */
bool hearth_chat_transcript_scroll(HearthChatTranscript *transcript, guint keyval);
void hearth_chat_transcript_go_to_end(HearthChatTranscript *transcript);

/* False when it is not in the shown branch. */
bool hearth_chat_transcript_show_message(HearthChatTranscript *transcript, gint64 message);

/* Begins to edit the person's last message; false when there is none or an answer is written. */
bool hearth_chat_transcript_edit_last(HearthChatTranscript *transcript);

/* Index of the first row's message, and how many rows there are; for tests. */
void hearth_chat_transcript_get_window(HearthChatTranscript *transcript, guint *ret_first,
                                       guint *ret_n);

#endif
