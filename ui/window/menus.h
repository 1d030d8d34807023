/* The menus of the window, made anew each time they open: they say what can be done now. Their
 * actions are those of window_actions.c. */
#ifndef HEARTH_WINDOW_MENUS_H
#define HEARTH_WINDOW_MENUS_H

#include "chat/history.h"

GMenuModel *hearth_menus_new_main(void);
GMenuModel *hearth_menus_new_folder(HearthFolder *folder);

/* `shown`: of the header bar, about the conversation that is shown. */
GMenuModel *hearth_menus_new_conversation(HearthHistory *history, HearthConversation *conversation,
                                          bool shown);

#endif
