/* A whole model file: looked into, opened, tokenized with, and run for a few tokens. Only what
 * follows from the bytes may go wrong here; what opens must also compute and end. */
#include <stdlib.h>

#include "engine.h"

#include "fuzz.h"

static void must_say_why(const EngError *err)
{
    if (err->code == ENG_OK || !err->message[0]) __builtin_trap();
}

static void peek(const uint8_t *data, size_t size)
{
    EngError err = {0};
    EngPeek *peek = eng_peek_bytes(data, size, size, &err);
    if (!peek) must_say_why(&err);
    eng_peek_free(peek);
    eng_peek_free(eng_peek_bytes(data, size / 2, size, &err));
}

static void text_and_back(const EngModel *model)
{
    static const char text[] = "the best <|think|> t\xc3\xa9st\n \xff 1234";
    for (int options = 0; options < 4; options++) {
        int32_t *tokens;
        size_t n, len;
        char *back;
        EngTokenizeOptions how = {.add_bos = options & 1, .parse_special = options & 2};
        if (!eng_tokenize(model, text, sizeof text - 1, how, &tokens, &n, NULL)) continue;
        if (eng_detokenize(model, tokens, n, options & 1, &back, &len, NULL)) free(back);
        free(tokens);
    }
}

static void answer(EngSession *session)
{
    static const EngMessage messages[] = {{"user", "the hat", NULL}};
    if (!eng_session_prompt(session, messages, 1, NULL, NULL)) return;
    for (int i = 0; i < 12; i++) {
        EngStep step;
        if (!eng_step(&session, 1, &step, NULL) || step.kind == ENG_DONE) break;
    }
}

static void run(EngModel *model)
{
    EngError err = {0};
    EngSessionSettings settings = {.context = 16, .kv = ENG_KV_F16};
    EngSession *session = eng_session_new(model, &settings, &err);
    if (!session) {
        must_say_why(&err);
        return;
    }
    static const int32_t tokens[] = {0, 1};
    if (!eng_session_eval(session, tokens, 2, NULL, &err)) must_say_why(&err);
    answer(session);
    eng_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    peek(data, size);
    EngError err = {0};
    EngModelSettings settings = eng_model_defaults();
    settings.no_gpu = true;
    settings.threads = 1;
    settings.batch = 4;
    EngModel *model = eng_model_open_memory(data, size, &settings, &err);
    if (!model) {
        must_say_why(&err);
        return 0;
    }
    text_and_back(model);
    run(model);
    eng_model_free(model);
    return 0;
}
