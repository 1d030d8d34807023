/* What the rows of the transcript say: sentences from states and numbers, in the person's language.
 * No widgets. All strings returned are the caller's. */
#ifndef HEARTH_MESSAGE_WORDS_H
#define HEARTH_MESSAGE_WORDS_H

#include <glib.h>
#include <stdbool.h>

#include "chat/message.h"

/* "40 ms", "0.8 s", "41 s", "2 min 5 s", "1 h 3 min". */
char *hearth_message_words_duration(double seconds);

/* "Thinking… 12 s" while it runs, "Thought for 41 s" afterwards. */
char *hearth_message_words_thinking(double seconds, bool running);

/* "9.8 tok/s · 1,204 tokens · first token 71 s · stopped"; "" for what generated nothing. */
char *hearth_message_words_footer(const HearthStats *stats, HearthState state);

/* What the message waits for or how it ended; NULL where there is nothing to say. `speed`: bytes
 * per second of the model that is loading, 0 = not known. */
char *hearth_message_words_status(HearthMessage *message, double speed);

/* The first line that says something, without the marks of Markdown, at most 200 characters.
 * *ret_whole: more text would not change it. */
char *hearth_message_words_first_line(const char *text, bool *ret_whole);

#endif
