/* What a conversation asks of the history that owns it. */
#ifndef HEARTH_CHAT_HISTORY_PRIVATE_H
#define HEARTH_CHAT_HISTORY_PRIVATE_H

#include "chat/history.h"
#include "store/store.h"
#include "worker/worker.h"

/* Keeps references to all three. `defaults`: the program's chat settings. */
HearthHistory *hearth_history_new(HearthStore *store, HearthWorker *worker, GSettings *defaults);

/* Reads the list from the store, which has been opened: "ready" or "failed". */
void hearth_history_load(HearthHistory *history);

/* Ends the running answers with the text they have; after hearth_worker_close. */
void hearth_history_settle(HearthHistory *history);

/* Borrowed. */
HearthStore *hearth_history_get_store(HearthHistory *history);
HearthWorker *hearth_history_get_worker(HearthHistory *history);
GSettings *hearth_history_get_defaults(HearthHistory *history);
HearthPersona *hearth_history_find_persona(HearthHistory *history, gint64 id); /* or NULL */

/* The conversation's place in the list may have changed: it has its first message, or was updated.
 */
void hearth_history_placed(HearthHistory *history, HearthConversation *conversation);

#endif
