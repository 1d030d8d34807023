#include "chat/reply.h"

#include <string.h>

#include "base/num.h"

#define MAX_SPACE 16 /* bytes of white space held back; of a longer run only the end */

#define DEEPSEEK(word)                                                                             \
    "<\xef\xbd\x9ctool\xe2\x96\x81"                                                                \
    "calls\xe2\x96\x81" word "\xef\xbd\x9c>"

static const struct {
    const char *text;
    EngPart from, to;
} tags[] = {
    {"<think>", ENG_PART_ANSWER, ENG_PART_THINKING},
    {"</think>", ENG_PART_ANSWER, ENG_PART_ANSWER},
    {"</think>", ENG_PART_THINKING, ENG_PART_ANSWER},
    {"<tool_call>", ENG_PART_ANSWER, ENG_PART_TOOL_CALL},
    {"</tool_call>", ENG_PART_TOOL_CALL, ENG_PART_ANSWER},
    {DEEPSEEK("begin"), ENG_PART_ANSWER, ENG_PART_TOOL_CALL},
    {DEEPSEEK("end"), ENG_PART_TOOL_CALL, ENG_PART_ANSWER},
};

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

void eng_reply_init(EngReply *reply, const char *prompt, size_t len)
{
    static const char open[] = "<think>";
    size_t n = sizeof open - 1;
    *reply = (EngReply){.part = ENG_PART_ANSWER, .trim = true};
    while (len > 0 && is_space(prompt[len - 1])) len--;
    if (len < n || memcmp(prompt + len - n, open, n) != 0) return;
    reply->part = ENG_PART_THINKING;
    reply->thought = true;
}

void eng_reply_go_on(EngReply *reply, EngPart part, bool thought)
{
    *reply = (EngReply){.part = part, .thought = thought};
}

typedef struct {
    EngReply *reply;
    char *out;
    size_t n_out, from; /* from: where the current segment began */
    EngReplySegment *segments;
    int n;
} Splitter;

static void end_segment(Splitter *s)
{
    if (s->n_out > s->from)
        s->segments[s->n++] =
            (EngReplySegment){s->reply->part, s->out + s->from, s->n_out - s->from};
    s->from = s->n_out;
}

static void add_text(Splitter *s, const char *text, size_t n)
{
    EngReply *r = s->reply;
    for (; r->trim && n > 0 && is_space(*text); n--) text++;
    if (n == 0) return;
    r->trim = false;
    memcpy(s->out + s->n_out, text, n);
    s->n_out += n;
}

static bool is_active(const EngReply *r, size_t tag)
{
    if (tags[tag].from != r->part) return false;
    if (tags[tag].to == ENG_PART_THINKING) return r->trim;
    if (tags[tag].to == ENG_PART_ANSWER && r->part == ENG_PART_ANSWER) return !r->thought;
    return true;
}

typedef enum { NO_TAG, PART_OF_TAG, WHOLE_TAG } Match;

static Match match(const EngReply *r, const char *text, size_t n, size_t *ret_tag)
{
    Match best = NO_TAG;
    for (size_t i = 0; i < ENG_LEN(tags); i++) {
        size_t len = strlen(tags[i].text);
        if (!is_active(r, i) || n > len || memcmp(tags[i].text, text, n) != 0) continue;
        *ret_tag = i;
        if (n == len) return WHOLE_TAG;
        best = PART_OF_TAG;
    }
    return best;
}

static void drop_held(EngReply *r, int n)
{
    r->n_held -= n;
    memmove(r->held, r->held + n, (size_t)r->n_held);
}

/* Lets go of everything held that cannot be part of a tag or of the white space before one. */
static void settle(Splitter *s)
{
    EngReply *r = s->reply;
    size_t tag = 0;
    while (r->n_held > 0) {
        int space = 0;
        while (space < r->n_held && is_space(r->held[space])) space++;
        if (space == r->n_held && space <= MAX_SPACE) return;
        if (space > MAX_SPACE) {
            add_text(s, r->held, 1);
            drop_held(r, 1);
            continue;
        }
        Match m = match(r, r->held + space, (size_t)(r->n_held - space), &tag);
        if (m == PART_OF_TAG) return;
        if (m == NO_TAG) {
            add_text(s, r->held, (size_t)space + 1);
            drop_held(r, space + 1);
            continue;
        }
        end_segment(s);
        r->part = tags[tag].to;
        r->trim = true;
        r->thought = r->thought || strstr(tags[tag].text, "think") != NULL;
        r->n_held = 0;
    }
}

int eng_reply_push(EngReply *reply, const char *text, size_t n, char *out,
                   EngReplySegment *ret_segments)
{
    Splitter s = {.reply = reply, .out = out, .segments = ret_segments};
    for (size_t i = 0; i < n; i++) {
        reply->held[reply->n_held++] = text[i];
        settle(&s);
    }
    end_segment(&s);
    return s.n;
}

int eng_reply_flush(EngReply *reply, char *out, EngReplySegment *ret_segments)
{
    Splitter s = {.reply = reply, .out = out, .segments = ret_segments};
    add_text(&s, reply->held, (size_t)reply->n_held);
    reply->n_held = 0;
    end_segment(&s);
    return s.n;
}
