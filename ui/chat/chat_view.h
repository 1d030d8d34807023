/* A conversation: its messages, or what an empty one shows, and the composer under them.
 *
 * Tells the conversation that it is shown (hearth_conversation_set_shown) and that it no longer is;
 * nobody else needs to. Uses the window's actions win.open-model, win.conversation-options and
 * win.new-conversation; models that are dropped here are opened by the application. */
#ifndef HEARTH_CHAT_VIEW_H
#define HEARTH_CHAT_VIEW_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_CHAT_VIEW (hearth_chat_view_get_type())
G_DECLARE_FINAL_TYPE(HearthChatView, hearth_chat_view, HEARTH, CHAT_VIEW, GtkWidget)

GtkWidget *hearth_chat_view_new(HearthApp *app);

/* NULL: none. gtk_widget_grab_focus puts the cursor into the composer. */
void hearth_chat_view_set_conversation(HearthChatView *view, HearthConversation *conversation);

/* Scrolls to a message, as soon as it is there; nothing when it is not in the shown branch. */
void hearth_chat_view_show_message(HearthChatView *view, gint64 message);

/* Ctrl+Shift+C does it too. */
void hearth_chat_view_copy_last_answer(HearthChatView *view);

/* Adds a text file to the message that is being written. */
void hearth_chat_view_attach(HearthChatView *view, GFile *file);

#endif
