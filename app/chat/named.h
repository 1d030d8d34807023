/* Making and changing folders and personas: the history's business alone. */
#ifndef HEARTH_CHAT_NAMED_H
#define HEARTH_CHAT_NAMED_H

#include "chat/history.h"

HearthFolder *hearth_named_folder_new(gint64 id, const char *name);
void hearth_named_folder_set(HearthFolder *folder, const char *name);
HearthPersona *hearth_named_persona_new(gint64 id, const char *name, const char *prompt);
void hearth_named_persona_set(HearthPersona *persona, const char *name, const char *prompt);

#endif
