/* A conversation: a tree of messages of which one branch is shown, the draft of the next message,
 * its own settings, and the answer that is being written.
 *
 * It is a GListModel of HearthMessage: the shown branch, first message first; empty until loaded.
 * Everything is written to the store as it happens, the answer that is being written once every
 * half second. Main thread only; nothing waits. The history owns conversations; one that is busy or
 * shown stays alive. */
#ifndef HEARTH_CHAT_CONVERSATION_H
#define HEARTH_CHAT_CONVERSATION_H

#include <gio/gio.h>

#include "chat/message.h"

#define HEARTH_TYPE_CONVERSATION (hearth_conversation_get_type())
G_DECLARE_FINAL_TYPE(HearthConversation, hearth_conversation, HEARTH, CONVERSATION, GObject)

/* Properties: "title" (string, rw), "pinned" (boolean, rw), "folder" (int64, rw, 0 = none),
 * "persona" (int64, rw, 0 = none), "draft" (string, rw; not notified while typing), read-only:
 * "updated" (int64, µs), "busy" (boolean: an answer is being written), "unread" (boolean: an answer
 * ended while it was not shown), "loaded" (boolean), "stored" (boolean: has messages or a draft),
 * "n-attachments" (uint).
 * Signal "failed" (const char *sentence): loading failed; load again to retry. */

gint64 hearth_conversation_get_id(HearthConversation *conversation);
const char *hearth_conversation_get_title(HearthConversation *conversation); /* "" = new */
bool hearth_conversation_get_pinned(HearthConversation *conversation);
gint64 hearth_conversation_get_folder(HearthConversation *conversation);
gint64 hearth_conversation_get_updated(HearthConversation *conversation);
const char *hearth_conversation_get_draft(HearthConversation *conversation);
bool hearth_conversation_is_busy(HearthConversation *conversation);
bool hearth_conversation_is_unread(HearthConversation *conversation);
bool hearth_conversation_is_loaded(HearthConversation *conversation);

void hearth_conversation_set_title(HearthConversation *conversation, const char *title);
void hearth_conversation_set_pinned(HearthConversation *conversation, bool pinned);
void hearth_conversation_set_folder(HearthConversation *conversation, gint64 folder);
void hearth_conversation_set_persona(HearthConversation *conversation, gint64 persona);
gint64 hearth_conversation_get_persona(HearthConversation *conversation);
/* Cheap: written to the store a second later, or when the conversation is left. */
void hearth_conversation_set_draft(HearthConversation *conversation, const char *draft);

/* Beside the draft, and kept like it. Files that go with the next message: of HearthUnsentRow, in
 * the order in which they came; those of before come when it is shown. Borrowed. detach: `id` 0 =
 * all. */
const GPtrArray *hearth_conversation_get_attachments(HearthConversation *conversation);
void hearth_conversation_attach(HearthConversation *conversation, const char *name,
                                const char *text);
void hearth_conversation_detach(HearthConversation *conversation, gint64 id);

/* What stands in the editor of a message; NULL = it is not being edited. Borrowed; known as soon as
 * the messages are loaded. */
const char *hearth_conversation_get_edit(HearthConversation *conversation, gint64 message);
void hearth_conversation_set_edit(HearthConversation *conversation, gint64 message,
                                  const char *text);

/* Shown or not: loads the messages (again after a failure), clears "unread"; a conversation that is
 * no longer shown and not busy lets go of its messages. */
void hearth_conversation_set_shown(HearthConversation *conversation, bool shown);

/* Its own settings: the schema io.github.hearth_ai.Hearth.Chat; a key with no user value
 * (g_settings_get_user_value is NULL) follows the defaults of the program. Borrowed. */
GSettings *hearth_conversation_get_settings(HearthConversation *conversation);

/* The running answer, or NULL. Borrowed. */
HearthMessage *hearth_conversation_get_running(HearthConversation *conversation);

/* ---- acting; no-ops while busy unless said otherwise ----------------------------------------- */

/* Appends the user's message and an empty answer, and asks for it. Clears the draft. */
void hearth_conversation_send(HearthConversation *conversation, const char *text);

/* Also while busy: that is what it is for. */
void hearth_conversation_stop(HearthConversation *conversation);

/* Another version of an answer; what followed it stays with the old version. */
void hearth_conversation_regenerate(HearthConversation *conversation, HearthMessage *answer);

/* Another version of a user's message, and an answer to it. */
void hearth_conversation_edit(HearthConversation *conversation, HearthMessage *message,
                              const char *text);

/* Goes on with the last answer, which was stopped, cut at its length, interrupted or failed. */
void hearth_conversation_go_on(HearthConversation *conversation, HearthMessage *answer);

/* Shows the next (+1) or previous (-1) version of the message, with what followed it last. */
void hearth_conversation_switch_version(HearthConversation *conversation, HearthMessage *message,
                                        int by);

/* Takes the message and all that follows it away. If other versions exist, the nearest one is shown
 * instead. Also stops a running answer below it. restore: the undo, with the id. */
void hearth_conversation_delete_message(HearthConversation *conversation, HearthMessage *message);
void hearth_conversation_restore_message(HearthConversation *conversation, gint64 id);

#endif
