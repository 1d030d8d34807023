/* Splits an answer's text, as it streams in, into answer, thinking and tool calls.
 *
 * Tags are found in the text itself, even when one arrives in several pieces: <think> … </think>,
 * <tool_call> … </tool_call>, and DeepSeek's <｜tool▁calls▁begin｜> … <｜tool▁calls▁end｜>. A tail
 * that may still become a tag is held back, and so is white space, which is dropped around tags.
 * How the text is cut into pushes never changes what comes out.
 *
 * A tag counts only where it can mean something: <think> at the start of an answer, </think> in
 * thinking (or as the first sign of it, when a model leaves out the opening tag: what came before
 * has been shown as the answer by then and stays so), and the end of a tool call in one. Anywhere
 * else it is text. A prompt that ends inside <think> makes the answer begin as thinking.
 *
 * Fixed size, no allocation. */
#ifndef ENG_CHAT_REPLY_H
#define ENG_CHAT_REPLY_H

#include "base/err.h"

typedef struct {
    EngPart part;
    bool trim;     /* nothing of this part has come yet: white space is swallowed */
    bool thought;  /* there has been thinking */
    char held[48]; /* white space, then what may become a tag */
    int n_held;
} EngReply;

/* `prompt` is the rendered prompt, whose end decides in which part the answer begins. */
void eng_reply_init(EngReply *reply, const char *prompt, size_t len);

/* For an answer of which there is text already, in `part`; `thought`: it has begun to think. */
void eng_reply_go_on(EngReply *reply, EngPart part, bool thought);

#define ENG_REPLY_PUSH 512    /* most bytes per push */
#define ENG_REPLY_SEGMENTS 80 /* most segments that they can make */

typedef struct {
    EngPart part;
    const char *text; /* not NUL-terminated */
    size_t len;
} EngReplySegment;

/* Feeds n bytes of whole UTF-8 characters; returns the number of segments written. Their text lies
 * in `out`, which has room for n + sizeof held bytes. */
int eng_reply_push(EngReply *reply, const char *text, size_t n, char *out,
                   EngReplySegment *ret_segments);
/* At the end of the answer: what was held back is text after all. */
int eng_reply_flush(EngReply *reply, char *out, EngReplySegment *ret_segments);

#endif
