/* An attached file as a small pill with its name and a button that takes it away. */
#ifndef HEARTH_CHAT_CHIP_H
#define HEARTH_CHAT_CHIP_H

#include <gtk/gtk.h>

#include "store/rows.h"

#define HEARTH_TYPE_CHAT_CHIP (hearth_chat_chip_get_type())
G_DECLARE_FINAL_TYPE(HearthChatChip, hearth_chat_chip, HEARTH, CHAT_CHIP, GtkWidget)

/* Signal "removed" (int64: the row's id). */

GtkWidget *hearth_chat_chip_new(const HearthUnsentRow *attachment);

#endif
