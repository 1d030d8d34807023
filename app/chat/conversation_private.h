/* A conversation's inside: what its parts (conversation.c the object and its list, asking.c asking
 * and the running answer, branch.c the acts on messages, unsent.c what is begun beside the draft)
 * share, and what the history does to it. */
#ifndef HEARTH_CHAT_CONVERSATION_PRIVATE_H
#define HEARTH_CHAT_CONVERSATION_PRIVATE_H

#include "chat/history_private.h"
#include "chat/tree.h"

struct _HearthConversation {
    GObject parent_instance;
    HearthHistory *history; /* weak: it owns us, unless we are deleted; NULL once it is gone */
    HearthConversationRow row;
    GSettings *settings; /* NULL until asked for */
    HearthTree *tree;
    GPtrArray *branch; /* of HearthMessage: what is shown */
    GCancellable *loading;
    bool stored, shown, loaded, unread;
    guint row_timer;        /* draft or settings wait to be written */
    GPtrArray *attachments; /* of HearthUnsentRow */
    GHashTable *edits;      /* message → HearthUnsentRow */
    char *unsent;           /* asked before the messages were there; on the disk in the draft */

    HearthMessage *running; /* the answer that is being written, with its job; or NULL */
    HearthJob *job;
    HearthStats before; /* of the answer that is continued */
    size_t saved_bytes; /* of the running answer, in the store */
    HearthState saved_state;
    guint save_timer;
};

/* ---- conversation.c -------------------------------------------------------------------------- */

/* `row` NULL: a new one, loaded and not stored. */
HearthConversation *hearth_conversation_new(HearthHistory *history,
                                            const HearthConversationRow *row);
void hearth_conversation_orphan(HearthConversation *conversation); /* the history goes away */

/* Writes the row now; or only when a change waits for it. */
void hearth_conversation_put(HearthConversation *conversation);
void hearth_conversation_put_waiting(HearthConversation *conversation);
void hearth_conversation_put_soon(HearthConversation *conversation);
/* Shows the branch through the message `id` (0 = newest), tells the list's listeners what changed,
 * and keeps it as the head. */
void hearth_conversation_show_branch(HearthConversation *conversation, gint64 id);
/* It was written in now: time, place in the history, row. */
void hearth_conversation_updated(HearthConversation *conversation);
void hearth_conversation_busy_changed(HearthConversation *conversation);
void hearth_conversation_set_unread(HearthConversation *conversation, bool unread);

/* ---- unsent.c -------------------------------------------------------------------------------- */

void hearth_unsent_init(HearthConversation *conversation);
void hearth_unsent_clear(HearthConversation *conversation);
/* Before the messages: who shows them asks for the edits. */
void hearth_unsent_load(HearthConversation *conversation, GCancellable *cancellable);
void hearth_unsent_let_go(HearthConversation *conversation);
/* Writes the edits. */
void hearth_unsent_put(HearthConversation *conversation);

/* ---- asking.c -------------------------------------------------------------------------------- */

/* Adds a message below `parent` (0 = first), to tree and store. Borrowed. */
HearthMessage *hearth_asking_add(HearthConversation *conversation, gint64 parent, HearthRole role,
                                 const char *text);
/* Asks for the answer, the last message of the branch. */
void hearth_asking_start(HearthConversation *conversation, HearthMessage *answer, bool goes_on);
/* Takes what the job has now; its end, when it has ended. */
void hearth_asking_settle(HearthConversation *conversation);

#endif
