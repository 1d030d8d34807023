/* What an empty conversation shows: what Hearth is and what to do next, by the model that is
 * loaded, on its way, or missing. */
#ifndef HEARTH_CHAT_WELCOME_H
#define HEARTH_CHAT_WELCOME_H

#include <gtk/gtk.h>

#include "app.h"

#define HEARTH_TYPE_CHAT_WELCOME (hearth_chat_welcome_get_type())
G_DECLARE_FINAL_TYPE(HearthChatWelcome, hearth_chat_welcome, HEARTH, CHAT_WELCOME, GtkWidget)

/* Signal "asked" (const char *question): one of the examples was chosen. */

GtkWidget *hearth_chat_welcome_new(HearthApp *app);

#endif
