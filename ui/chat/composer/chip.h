/* An attached file as a small pill with its name and a button that takes it away. */
#ifndef HEARTH_CHAT_CHIP_H
#define HEARTH_CHAT_CHIP_H

#include <gtk/gtk.h>

#include "attachment.h"

#define HEARTH_TYPE_CHAT_CHIP (hearth_chat_chip_get_type())
G_DECLARE_FINAL_TYPE(HearthChatChip, hearth_chat_chip, HEARTH, CHAT_CHIP, GtkWidget)

/* Signal "removed" (pointer HearthAttachment). The attachment is borrowed, for the signal. */

GtkWidget *hearth_chat_chip_new(HearthAttachment *attachment);

#endif
