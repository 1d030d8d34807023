/* A text field of several lines for what is sent: grows with its text up to a number of lines and
 * scrolls from there on; Enter sends, Shift+Enter breaks the line, and an input method that is
 * choosing a word has its Enter first. */
#ifndef HEARTH_CHAT_FIELD_H
#define HEARTH_CHAT_FIELD_H

#include <gtk/gtk.h>
#include <stdbool.h>

#define HEARTH_TYPE_CHAT_FIELD (hearth_chat_field_get_type())
G_DECLARE_FINAL_TYPE(HearthChatField, hearth_chat_field, HEARTH, CHAT_FIELD, GtkWidget)

/* Properties: "lines" (int, rw): the most that are shown at once; "label" (string, w): accessible
 * name and placeholder.
 * Signals:
 *   "send"
 *   "key" (uint key, GdkModifierType) → boolean   any other key, before the text view: was it used?
 */

/* NULL: an empty one. */
void hearth_chat_field_set_buffer(HearthChatField *field, GtkTextBuffer *buffer);
char *hearth_chat_field_get_text(HearthChatField *field); /* g_free() */

/* Whether the cursors of this display may blink; they do by fading, 60 frames a second. */
void hearth_chat_field_set_blinks(HearthChatField *field, bool blinks);

/* All of the text is in view. */
bool hearth_chat_field_fits(HearthChatField *field);

#endif
