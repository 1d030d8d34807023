/* "412 tokens" beside a text that is being typed: counted by the loaded model a moment after the
 * last key, off the main thread; nothing while no model is loaded. */
#ifndef HEARTH_CHAT_COUNTER_H
#define HEARTH_CHAT_COUNTER_H

#include <gtk/gtk.h>

#include "worker/worker.h"

typedef struct HearthChatCounter HearthChatCounter;

/* The text to count, g_free()d afterwards; NULL = none. */
typedef char *(*HearthChatCounted)(void *data);

/* Shows and hides the label, which has to live as long. */
HearthChatCounter *hearth_chat_counter_new(HearthWorker *worker, GtkLabel *label,
                                           HearthChatCounted get_text, void *data);
void hearth_chat_counter_free(HearthChatCounter *counter);

/* The text has changed. */
void hearth_chat_counter_wake(HearthChatCounter *counter);

#endif
