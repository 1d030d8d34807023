/* Changing what was sent: the text in place of the bubble, with Cancel and Send. */
#ifndef HEARTH_MESSAGE_EDITOR_H
#define HEARTH_MESSAGE_EDITOR_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_MESSAGE_EDITOR (hearth_message_editor_get_type())
G_DECLARE_FINAL_TYPE(HearthMessageEditor, hearth_message_editor, HEARTH, MESSAGE_EDITOR, GtkWidget)

/* Signals: "sent", "cancelled", "changed" (the text). */

GtkWidget *hearth_message_editor_new(const char *text);

char *hearth_message_editor_get_text(HearthMessageEditor *editor); /* g_free() */

/* `busy`: cannot be sent now. */
void hearth_message_editor_set_busy(HearthMessageEditor *editor, gboolean busy);

#endif
