/* Toasts of what is in the window, shown by the window's overlay wherever that is. */
#ifndef HEARTH_CHAT_TOAST_H
#define HEARTH_CHAT_TOAST_H

#include <adwaita.h>

/* Takes the toast. Without an overlay above the widget it is dropped. */
void hearth_chat_toast_show(GtkWidget *from, AdwToast *toast);

/* One sentence; the same one is not shown twice at a time. */
void hearth_chat_toast_say(GtkWidget *from, const char *sentence);

#endif
