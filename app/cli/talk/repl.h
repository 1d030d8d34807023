/* The interactive conversation: messages and /commands typed at a prompt. */
#ifndef HEARTH_CLI_TALK_REPL_H
#define HEARTH_CLI_TALK_REPL_H

#include "cli/talk/talk.h"

/* Until Ctrl-D or /quit. `name` is the model's, for the greeting. */
bool hearth_repl_run(HearthTalk *talk, const char *name, GError **error);

#endif
