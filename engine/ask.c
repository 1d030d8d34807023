/* Begins an answer, or goes on with one: messages → text → tokens → what of them the KV cache has.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"
#include "session.h"

/* A template that writes BOS itself must not get a second one. */
static bool begins_with_bos(const EngTokenizer *t, const char *text, size_t len)
{
    const char *bos;
    int32_t id = eng_tokenizer_bos(t);
    size_t n = id < 0 ? 0 : eng_tokenizer_piece(t, id, true, false, &bos);
    return n > 0 && len >= n && memcmp(text, bos, n) == 0;
}

static bool make_sampler(EngSession *s, EngError *err)
{
    if (!s->sampler) {
        s->sampler = eng_sampler_new(&s->sampling, s->model->h.n_vocab, s->kv.context, err);
        if (!s->sampler) return false;
        eng_sampler_set_breakers(s->sampler, s->breakers, s->n_breakers);
    }
    eng_sampler_reset(s->sampler, s->sampling.seed);
    return true;
}

/* Keeps what the cache already holds of the new prompt; at least one token is computed, since the
 * last one's logits are wanted. */
static void take_prompt(EngSession *s, const int32_t *tokens, int n)
{
    int common = 0, cached = eng_session_is_lost(s) ? 0 : s->n_past;
    while (common < cached && common < n - 1 && s->tokens[common] == tokens[common]) common++;
    memmove(s->tokens, tokens, (size_t)n * sizeof *tokens);
    s->n_past = common;
    s->n_tokens = n;
    s->has_logits = s->has_tops = false;
    s->state = ENG_READING;
    s->goes_on = false;
    s->n_segments = s->next_segment = 0;
    s->n_text = 0;
    s->stats = (EngStats){.context = s->kv.context,
                          .kv_bytes = eng_session_kv_bytes(s),
                          .prompt_tokens = n,
                          .reused_tokens = common};
}

/* ---- going on -------------------------------------------------------------------------------- */

/* What is left of the texts that an answer is compared with. */
typedef struct {
    const char *thinking, *content;
} Rest;

static bool match(Rest *rest, const EngReplySegment *segments, int n)
{
    for (int i = 0; i < n; i++) {
        const EngReplySegment *seg = &segments[i];
        const char **text = seg->part == ENG_PART_THINKING ? &rest->thinking : &rest->content;
        /* A segment may hold a NUL, the text ends at its first. */
        if (strnlen(*text, seg->len) < seg->len || memcmp(*text, seg->text, seg->len) != 0)
            return false;
        *text += seg->len;
    }
    return true;
}

static bool is_at_end(const Rest *rest) { return !*rest->thinking && !*rest->content; }

/* At the end of an answer that was cut at its length, what was held back has been given out. */
static bool match_flushed(EngSession *s, Rest *rest)
{
    char text[sizeof s->reply.held];
    EngReplySegment segments[ENG_REPLY_SEGMENTS];
    EngReply reply = s->reply;
    if (!match(rest, segments, eng_reply_flush(&reply, text, segments)) || !is_at_end(rest))
        return false;
    s->reply = reply;
    return true;
}

/* Whether the message is what this session wrote last, behind the `n` tokens of the same prompt.
 * Then its tokens are kept as they were drawn (another cut of the same text would go on otherwise)
 * and the splitter stands where it stood, with what it held back. */
static bool stands_there(EngSession *s, const EngPrompt *p, const int32_t *tokens, size_t n,
                         const EngMessage *message)
{
    const EngTokenizer *t = s->model->tokenizer;
    Rest rest = {message->thinking ? message->thinking : "",
                 message->content ? message->content : ""};
    if (s->answer_at <= 0 || (size_t)s->answer_at != n || s->n_tokens <= s->answer_at ||
        memcmp(s->tokens, tokens, n * sizeof *tokens) != 0)
        return false;
    eng_reply_init(&s->reply, p->text, p->len);
    s->utf8 = (EngUtf8Stream){0};
    for (int i = s->answer_at; i < s->n_tokens; i++) {
        const char *bytes;
        size_t len = eng_tokenizer_piece(t, s->tokens[i], true, false, &bytes);
        s->n_segments = s->next_segment = 0;
        s->n_text = 0;
        eng_session_queue_text(s, eng_utf8_stream_push(&s->utf8, bytes, len, s->utf8_out));
        if (!match(&rest, s->segments, s->n_segments)) return false;
    }
    return is_at_end(&rest) || match_flushed(s, &rest);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool encode(const EngSession *s, const char *text, size_t len, int32_t **ret_tokens,
                   size_t *ret_n, EngError *err)
{
    const EngTokenizer *t = s->model->tokenizer;
    EngTokenizeOptions options = {!begins_with_bos(t, text, len), true};
    return eng_tokenizer_encode(t, text, len, options, ret_tokens, ret_n, err);
}

static bool check_room(const EngSession *s, size_t n, EngError *err)
{
    if (n == 0) return eng_fail(err, ENG_ERR_USAGE, "The prompt is empty: write a message first.");
    if (n < (size_t)s->kv.context) return true;
    return eng_fail(err, ENG_ERR_CONTEXT,
                    "The prompt has %zu tokens and the context holds %d, with room for the answer: "
                    "shorten the prompt or choose a larger context.",
                    n, s->kv.context);
}

static bool answer(EngSession *s, const EngPrompt *p, EngError *err)
{
    int32_t *tokens = NULL;
    size_t n = 0;
    bool ok = encode(s, p->text, p->len, &tokens, &n, err) && check_room(s, n, err) &&
              make_sampler(s, err);
    if (ok) {
        take_prompt(s, tokens, (int)n);
        s->answer_at = (int)n;
        s->utf8 = (EngUtf8Stream){0};
        eng_reply_init(&s->reply, p->text, p->len);
    }
    free(tokens);
    return ok;
}

static bool go_on(EngSession *s, const EngPrompt *p, const EngMessage *message, EngError *err)
{
    int32_t *before = NULL, *all = NULL;
    size_t n_before = 0, n = 0;
    bool ok = encode(s, p->text, p->len, &before, &n_before, err);
    if (ok && stands_there(s, p, before, n_before, message)) {
        ok = check_room(s, (size_t)s->n_tokens, err) && make_sampler(s, err);
        if (ok) take_prompt(s, s->tokens, s->n_tokens);
    } else if (ok) {
        ok = encode(s, p->begun, p->begun_len, &all, &n, err) && check_room(s, n, err) &&
             make_sampler(s, err);
        if (ok) {
            take_prompt(s, all, (int)n);
            bool apart = n_before <= n && memcmp(all, before, n_before * sizeof *all) == 0;
            s->answer_at = apart ? (int)n_before : -1;
            s->utf8 = (EngUtf8Stream){0};
            eng_reply_go_on(&s->reply, p->part, p->thought);
        }
    }
    free(before);
    free(all);
    return ok;
}

bool eng_session_prompt(EngSession *session, const EngMessage *messages, size_t n,
                        const char *variables, EngError *err)
{
    double now = eng_sys_now();
    EngPrompt p;
    if (!eng_model_has_text(session->model, err) ||
        !eng_prompt_render(session->model, messages, n, variables, &p, err))
        return false;
    bool ok = p.begun ? go_on(session, &p, &messages[n - 1], err) : answer(session, &p, err);
    if (ok) session->asked_at = now;
    eng_prompt_clear(&p);
    return ok;
}
