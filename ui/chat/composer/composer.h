/* Where the next message is written: the text (the conversation's draft), attached files, how many
 * tokens that is, and Send, which is Stop while an answer is being written. */
#ifndef HEARTH_CHAT_COMPOSER_H
#define HEARTH_CHAT_COMPOSER_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_CHAT_COMPOSER (hearth_chat_composer_get_type())
G_DECLARE_FINAL_TYPE(HearthChatComposer, hearth_chat_composer, HEARTH, CHAT_COMPOSER, GtkWidget)

/* Signals:
 *   "sent"                       a message was sent
 *   "said" (const char *sentence)  to be told in passing
 *   "edit-last"  → boolean       Up in an empty field: was there a message to edit?
 *   "scroll" (uint key) → boolean   a key that an empty field has no use for: was it used? */

GtkWidget *hearth_chat_composer_new(HearthApp *app);

void hearth_chat_composer_set_conversation(HearthChatComposer *composer,
                                           HearthConversation *conversation);

/* Reads the file and attaches it to the conversation's message; "said" when it is not to be read.
 */
void hearth_chat_composer_attach(HearthChatComposer *composer, GFile *file);

#endif
