/* What the window remembers of a conversation for as long as the program runs, and nobody stores:
 * the composer's buffer with its undo history, what was folded and unfolded, and the place that was
 * read. Lives and dies with the conversation. */
#ifndef HEARTH_CHAT_MEMO_H
#define HEARTH_CHAT_MEMO_H

#include <gtk/gtk.h>
#include <stdbool.h>

#include "chat/conversation.h"

typedef struct {
    bool thinking_set, thinking_open; /* set: by the person, and stays so */
    bool whole;                       /* a long message is shown whole */
} HearthMessageMemo;

typedef struct {
    GtkTextBuffer *buffer;
    gint64 place; /* message at the top of the view; 0 = the end is shown */
    double place_y;
    GHashTable *messages; /* id → HearthMessageMemo */
} HearthChatMemo;

/* Made at the first call, with the stored draft in the buffer. Borrowed. */
HearthChatMemo *hearth_chat_memo_of(HearthConversation *conversation);

/* Made at the first call. Borrowed. */
HearthMessageMemo *hearth_chat_memo_message(HearthChatMemo *memo, gint64 message);

#endif
