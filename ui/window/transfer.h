/* Conversations to and from files: the dialogs, and what is said afterwards. */
#ifndef HEARTH_WINDOW_TRANSFER_H
#define HEARTH_WINDOW_TRANSFER_H

#include "window/window.h"

/* `conversation` NULL: all of them. The name that the person gives decides the format. */
void hearth_transfer_export(HearthWindow *window, HearthConversation *conversation);
void hearth_transfer_import(HearthWindow *window);

/* For tests: whether a file of that name becomes JSON. */
bool hearth_transfer_is_json(const char *name, bool all);

#endif
