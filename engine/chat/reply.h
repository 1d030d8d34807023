/* Splits an answer's text, as it streams in, into answer, thinking and tool calls.
 *
 * Tags are found in the text itself (<think> … </think>, <tool_call> … </tool_call>), even when a tag
 * arrives in several pieces: a tail that may still become a tag is held back. A template that ends
 * its prompt inside <think> makes the answer begin as thinking. Fixed size, no allocation. */
#ifndef ENG_CHAT_REPLY_H
#define ENG_CHAT_REPLY_H

#include "base/err.h"

typedef struct {
    EngPart part;
    bool trim;      /* swallow white space at the start of the part */
    char held[32];  /* tail that may become a tag */
    int n_held;
} EngReply;

/* `prompt` is the rendered prompt, whose end decides in which part the answer begins. */
void eng_reply_init(EngReply *reply, const char *prompt, size_t len);

/* Feeds n bytes of whole UTF-8; calls nothing, returns the number of segments written (at most
 * ENG_REPLY_SEGMENTS; feed at most 512 bytes at a time). Segment text points into `out`, which has
 * room for n + sizeof held + 1 bytes. */
#define ENG_REPLY_SEGMENTS 8
typedef struct {
    EngPart part;
    const char *text; /* not NUL-terminated */
    size_t len;
} EngReplySegment;

int eng_reply_push(EngReply *reply, const char *text, size_t n, char *out,
                   EngReplySegment *ret_segments);
/* At the end of the answer: what was held back is text after all. */
int eng_reply_flush(EngReply *reply, char *out, EngReplySegment *ret_segments);

#endif
