/* From settings to what the engine is asked with: a conversation's own value where it has one, else
 * the program's. Not for ui/ (it names the engine). */
#ifndef HEARTH_CHAT_OPTIONS_H
#define HEARTH_CHAT_OPTIONS_H

#include <gio/gio.h>

#include "worker/request.h"

/* `version` counts an answer's versions from 1: with a seed that was chosen, each version draws
 * with the next one, or regenerating would say the same again. */
void hearth_options_fill(HearthRequest *request, GSettings *own, GSettings *defaults, int version);

#endif
