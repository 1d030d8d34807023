/* The reply splitter: whatever way a stream is cut, the same parts come out. */
#include "test.h"

#include "chat/reply.h"

typedef struct {
    char text[2048]; /* "T:steps|A:answer|C:call" */
    EngPart last;
    bool any;
} Parts;

static void collect(Parts *parts, const EngReplySegment *segments, int n)
{
    static const char letters[] = {
        [ENG_PART_ANSWER] = 'A', [ENG_PART_THINKING] = 'T', [ENG_PART_TOOL_CALL] = 'C'};
    for (int i = 0; i < n; i++) {
        size_t at = strlen(parts->text);
        CHECK(segments[i].len > 0);
        if (!parts->any || parts->last != segments[i].part)
            at += (size_t)sprintf(parts->text + at, "%s%c:", parts->any ? "|" : "",
                                  letters[segments[i].part]);
        memcpy(parts->text + at, segments[i].text, segments[i].len);
        parts->text[at + segments[i].len] = 0;
        parts->last = segments[i].part;
        parts->any = true;
    }
}

/* Splits at `cuts`: a bit per character boundary that is a cut, repeated every 64 characters. */
static void split(const char *prompt, const char *text, uint64_t cuts, Parts *parts)
{
    EngReply reply;
    EngReplySegment segments[ENG_REPLY_SEGMENTS];
    char out[ENG_REPLY_PUSH + sizeof reply.held];
    *parts = (Parts){.any = false};
    eng_reply_init(&reply, prompt, strlen(prompt));
    for (size_t from = 0, to = 0, i = 0; text[from]; from = to, i++) {
        do {
            to++;
            while (((unsigned char)text[to] & 0xc0) == 0x80) to++;
        } while (text[to] && !(cuts >> (i++ % 64) & 1));
        char piece[ENG_REPLY_PUSH]; /* of its own size: reading past it is seen */
        memcpy(piece, text + from, to - from);
        collect(parts, segments, eng_reply_push(&reply, piece, to - from, out, segments));
    }
    collect(parts, segments, eng_reply_flush(&reply, out, segments));
}

static void expect(const char *prompt, const char *text, const char *want)
{
    Parts parts;
    for (int i = 0; i < 200; i++) {
        uint64_t cuts = i == 0 ? 0 : i == 1 ? UINT64_MAX : test_random();
        split(prompt, text, cuts, &parts);
        CHECK_STR(parts.text, want);
        if (strcmp(parts.text, want) != 0) return;
    }
}

static void plain(void)
{
    expect("", "", "");
    expect("", "Hello", "A:Hello");
    expect("", " \nHello\n\nyou \n", "A:Hello\n\nyou \n");
    expect("", "a < b and <b>bold</b> <thin", "A:a < b and <b>bold</b> <thin");
    expect("", "你好 <｜x", "A:你好 <｜x");
}

static void thinking(void)
{
    expect("", "<think>\nsteps\n</think>\n\nanswer", "T:steps|A:answer");
    expect("", "\n<think>a\n\nb</think>c", "T:a\n\nb|A:c");
    expect("", "<think>\n\n</think>\n\nanswer", "A:answer");
    expect("", "<think>unfinished ", "T:unfinished ");
    expect("", "<think>a <think> b <tool_call> </think>c", "T:a <think> b <tool_call>|A:c");
    expect("", "<<think>", "A:<<think>");
}

static void open_prompt(void)
{
    expect("<|Assistant|><think>\n", "steps\n</think>\n\nanswer", "T:steps|A:answer");
    expect("<|Assistant|><think>", "</think>answer", "A:answer");
    expect("<think>\n\n</think>\n\n", "answer", "A:answer");
    expect("user asks about <think> tags", "answer", "A:answer");
}

static void stray_tags(void)
{
    expect("", "steps\n</think>\n\nanswer", "A:stepsanswer"); /* the opening tag was left out */
    expect("", "<think>a</think>b </think> c", "T:a|A:b </think> c");
    expect("", "The tag <think> starts it.", "A:The tag <think> starts it.");
    expect("", "b </tool_call> c", "A:b </tool_call> c");
}

static void tool_calls(void)
{
    expect(
        "",
        "Let me see.\n<tool_call>\n{\"name\": \"f\"}\n</tool_call>\n<tool_call>\n{}\n</tool_call>",
        "A:Let me see.|C:{\"name\": \"f\"}{}");
    expect("", "<think>\nx\n</think>\n<tool_call>{}</tool_call>\ndone", "T:x|C:{}|A:done");
    expect("",
           "ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
           "A:ok|C:<｜tool▁call▁begin｜>f<｜tool▁call▁end｜>");
    expect("", "<tool_call>unfinished", "C:unfinished");
}

static void long_space(void)
{
    expect("", "a                                        b",
           "A:a                                        b");
    expect("<think>", "a                    </think>b", "T:a    |A:b"); /* 16 bytes are held back */
}

/* The most segments that a push can make fit. */
static void many_segments(void)
{
    EngReply reply;
    EngReplySegment segments[ENG_REPLY_SEGMENTS];
    char text[ENG_REPLY_PUSH], out[ENG_REPLY_PUSH + sizeof reply.held];
    static const char unit[] = "<think>a</think>";
    eng_reply_init(&reply, "", 0);
    for (size_t i = 0; i < sizeof text; i++) text[i] = unit[i % (sizeof unit - 1)];
    int n = eng_reply_push(&reply, text, sizeof text, out, segments);
    CHECK_INT(n, 32);
    CHECK(n <= ENG_REPLY_SEGMENTS);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"plain", plain},
        {"thinking", thinking},
        {"open_prompt", open_prompt},
        {"stray_tags", stray_tags},
        {"tool_calls", tool_calls},
        {"long_space", long_space},
        {"many_segments", many_segments},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
