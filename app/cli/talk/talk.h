/* A conversation in a terminal: model, session, sampling and the messages so far. The whole history
 * goes to the engine each time; it computes only what is new. */
#ifndef HEARTH_CLI_TALK_TALK_H
#define HEARTH_CLI_TALK_TALK_H

#include "cli/talk/answer.h"
#include "cli/loader.h"

typedef struct HearthTalk HearthTalk;

/* `system` may be NULL; `context` 0 = the engine's choice. */
HearthTalk *hearth_talk_new(const HearthLoad *load, int context, const EngSampling *sampling,
                            const char *system, GError **error);
void hearth_talk_free(HearthTalk *talk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthTalk, hearth_talk_free)

/* Asks, and adds message and answer to the history: also a stopped answer's part. What failed, or
 * was stopped before its first word, leaves the history as it was. */
bool hearth_talk_ask(HearthTalk *talk, const char *message, HearthShow show, HearthAnswer *answer,
                     GError **error);

/* Asks the last message again, with the next seed where a seed was given. */
bool hearth_talk_ask_again(HearthTalk *talk, HearthShow show, HearthAnswer *answer, GError **error);

/* Forgets all messages but the system's. */
void hearth_talk_forget(HearthTalk *talk);

/* From the next message on; NULL or "" = none. */
void hearth_talk_set_system(HearthTalk *talk, const char *system);

const EngModel *hearth_talk_model(const HearthTalk *talk);
EngStats hearth_talk_stats(const HearthTalk *talk);

#endif
