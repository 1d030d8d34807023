/* One answer of a model: the loop over eng_step until the model ends it, a limit is reached or
 * Ctrl-C stops it; what was said is collected and, as it comes, shown. */
#ifndef HEARTH_CLI_TALK_ANSWER_H
#define HEARTH_CLI_TALK_ANSWER_H

#include "error_from.h"

typedef enum {
    HEARTH_SHOW_NOTHING,
    HEARTH_SHOW_ANSWER,  /* the answer alone, byte for byte: stdout is a file or a pipe */
    HEARTH_SHOW_TERMINAL /* progress, dim thinking, the answer, a dim line of speed */
} HearthShow;

typedef struct {
    GString *text, *thinking; /* thinking: "" when there was none */
    const char *stop;         /* "end", "length", "context", "interrupted"; static */
    EngStats stats;
} HearthAnswer;

void hearth_answer_init(HearthAnswer *answer);
void hearth_answer_clear(HearthAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HearthAnswer, hearth_answer_clear)

/* After eng_session_prompt. `answer` is initialised and empty; on an error it holds what came
 * before. */
bool hearth_answer_run(HearthAnswer *answer, EngSession *session, HearthShow show, GError **error);

/* Tokens per second; 0 when there was nothing to measure. */
double hearth_answer_prefill_speed(const HearthAnswer *answer);
double hearth_answer_decode_speed(const HearthAnswer *answer);

#endif
