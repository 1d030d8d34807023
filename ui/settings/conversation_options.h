/* The options of one conversation: its persona and system prompt, and the settings in which it
 * differs from the program's. Opened by "win.conversation-options". */
#ifndef HEARTH_CONVERSATION_OPTIONS_H
#define HEARTH_CONVERSATION_OPTIONS_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_CONVERSATION_OPTIONS (hearth_conversation_options_get_type())
G_DECLARE_FINAL_TYPE(HearthConversationOptions, hearth_conversation_options, HEARTH,
                     CONVERSATION_OPTIONS, AdwWindow)

/* Keeps the conversation alive. */
GtkWidget *hearth_conversation_options_new(HearthApp *app, HearthConversation *conversation);

#endif
