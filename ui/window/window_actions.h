/* What menus and keys of the window do: the "win." actions. Those with a target name the
 * conversation or folder by its id; the others are about the one that is shown.
 *
 *   win.toast (s)   win.notice (s)   what any widget in the window can say to the person */
#ifndef HEARTH_WINDOW_ACTIONS_H
#define HEARTH_WINDOW_ACTIONS_H

#include "window/window.h"

void hearth_window_actions_add(HearthWindow *window);

#endif
