/* An answer that was stopped goes on as if it never had been: with Ember's own template and with
 * those of other families, whose thinking begins, ends and is left out in other places. Ember's
 * greedy text behind a strange prompt is nonsense, but always the same nonsense. */
#include "model.h"
#include "test.h"

#define EMBER TEST_DIR "/../../data/models/ember/ember.gguf"
#define KEY "tokenizer.chat_template"

/* ---- Ember with another template ------------------------------------------------------------- */

typedef struct {
    unsigned char *bytes; /* 64-byte aligned */
    size_t n;
} File;

static char *read_all(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *bytes = calloc(1, (size_t)n + 1);
    *ret_n = fread(bytes, 1, (size_t)n, f);
    fclose(f);
    return bytes;
}

static uint64_t u64_at(const char *p)
{
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* The template is the last value of Ember's file; tensors' descriptions and, at a multiple of 32,
 * their data follow. */
static File ember_with(const char *tmpl, size_t n_tmpl)
{
    File made = {0};
    size_t n = 0;
    char *file = read_all(EMBER, &n);
    char *key = file ? memmem(file, n, KEY, strlen(KEY)) : NULL;
    CHECK_MSG(key, "Ember is not where it was");
    if (!key) return made;
    char *value = key + strlen(KEY) + 4; /* behind the type: length, then bytes */
    char *infos = value + 8 + u64_at(value), *at = infos;
    for (uint64_t i = 0, tensors = u64_at(file + 8); i < tensors; i++) {
        at += 8 + u64_at(at);
        uint32_t dims;
        memcpy(&dims, at, 4);
        at += 4 + 8 * (size_t)dims + 4 + 8;
    }
    size_t data = ((size_t)(at - file) + 31) / 32 * 32;
    size_t head = (size_t)(value - file), middle = (size_t)(at - infos);
    size_t new_data = (head + 8 + n_tmpl + middle + 31) / 32 * 32;
    made.n = new_data + n - data;
    made.bytes = aligned_alloc(64, (made.n + 63) / 64 * 64);
    memset(made.bytes, 0, made.n);
    memcpy(made.bytes, file, head);
    memcpy(made.bytes + head, &(uint64_t){n_tmpl}, 8);
    memcpy(made.bytes + head + 8, tmpl, n_tmpl);
    memcpy(made.bytes + head + 8 + n_tmpl, infos, middle);
    memcpy(made.bytes + new_data, file + data, n - data);
    free(file);
    return made;
}

static EngModel *open_with(const char *tmpl, size_t n, File *ret_file, bool vocab_only)
{
    EngError err = {0};
    EngModelSettings set = eng_model_defaults();
    set.threads = 2;
    set.vocab_only = vocab_only;
    *ret_file = ember_with(tmpl, n);
    EngModel *m =
        ret_file->bytes ? eng_model_open_memory(ret_file->bytes, ret_file->n, &set, &err) : NULL;
    CHECK_MSG(m, "%s", err.message);
    return m;
}

static char *read_template(const char *name, size_t *ret_n)
{
    char rest[256];
    snprintf(rest, sizeof rest, "chat-templates/templates/%s.jinja", name);
    const char *path = test_shared(rest);
    return path ? read_all(path, ret_n) : NULL;
}

static const EngMessage asked = {.role = "user", .content = "What is a mixture of experts?"};

static const char *const families[] = {
    "DeepSeek opens the thought", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "Qwen 3 may think",           "Qwen-Qwen3-0.6B",
    "GLM writes tags tightly",    "GLM-4.7-Flash",
    "Mistral has no tags",        "mistralai-Mistral-Nemo-Instruct-2407",
    "Gemma has no system",        "google-gemma-2-2b-it",
    "Llama has headers",          "meta-llama-Llama-3.1-8B-Instruct",
    "V3.1 closes the thought",    "deepseek-ai-DeepSeek-V3.1",
    "gpt-oss has channels",       "openai-gpt-oss-120b",
};

/* ---- stopped and gone on with ---------------------------------------------------------------- */

typedef struct {
    char thinking[4096], content[4096];
    bool ended; /* by the model */
} Answer;

/* Steps until `tokens` are drawn (0 = to the end), adding to the answer. */
static bool run(EngSession *s, const EngMessage *messages, size_t n, int tokens, Answer *answer)
{
    EngError err = {0};
    EngSampling greedy = eng_sampling_defaults();
    EngStep step = {0};
    greedy.temperature = 0;
    greedy.max_tokens = 60;
    bool ok =
        eng_session_sampler(s, &greedy, &err) && eng_session_prompt(s, messages, n, NULL, &err);
    while (ok && step.kind != ENG_DONE && (!tokens || eng_session_stats(s).tokens < tokens)) {
        ok = eng_step(&s, 1, &step, &err);
        if (!ok || step.kind != ENG_TEXT) continue;
        char *to = step.part == ENG_PART_THINKING ? answer->thinking : answer->content;
        if (strlen(to) + step.len < sizeof answer->content) strcat(to, step.text);
    }
    answer->ended = step.kind == ENG_DONE && step.reason == ENG_STOP_END;
    CHECK_MSG(ok, "%s: %s", test_name, err.message);
    return ok;
}

static EngSession *open_session(EngModel *m)
{
    EngError err = {0};
    EngSessionSettings set = {.context = 1024};
    EngSession *s = eng_session_new(m, &set, &err);
    CHECK_MSG(s, "%s", err.message);
    return s;
}

/* 60 tokens in all: greedy and cut at its length. */
static Answer answer_whole(EngModel *m, EngMessage question)
{
    Answer whole = {0};
    EngSession *s = m ? open_session(m) : NULL;
    if (s) run(s, &question, 1, 60, &whole);
    eng_session_free(s);
    return whole;
}

/* The same stopped after k tokens and gone on with, in the same session or in another, which knows
 * the text alone. */
static void check_stopped(EngModel *m, EngMessage question, const Answer *whole, int k,
                          bool same_session)
{
    Answer part = {0};
    EngSession *s = open_session(m);
    if (run(s, &question, 1, k, &part) && !part.ended && (part.thinking[0] || part.content[0])) {
        int prompt = eng_session_stats(s).prompt_tokens;
        Answer before = part;
        EngMessage turns[] = {
            question,
            {.role = "assistant", .content = before.content, .thinking = before.thinking}};
        if (!same_session) {
            eng_session_free(s);
            s = open_session(m);
        }
        run(s, turns, 2, 60 - k, &part);
        EngStats stats = eng_session_stats(s);
        if (same_session) CHECK_INT(stats.reused_tokens, prompt + k - 1);
        CHECK_INT(stats.prompt_tokens, prompt + k);
        CHECK_STR(part.thinking, whole->thinking);
        CHECK_STR(part.content, whole->content);
    }
    eng_session_free(s);
}

static void goes_on_with_its_own_template(void)
{
    EngError err = {0};
    EngModel *m = eng_model_open(EMBER, NULL, &err);
    CHECK_MSG(m, "%s", err.message);
    Answer whole = answer_whole(m, asked);
    for (int k = 1; m && k < 30; k += 7) {
        check_stopped(m, asked, &whole, k, true);
        check_stopped(m, asked, &whole, k, false);
    }
    eng_model_free(m);
}

/* Many of its characters are two tokens: the stop falls into one. */
static void goes_on_inside_a_character(void)
{
    EngMessage chinese = {.role = "user", .content = "什么是混合专家模型？"};
    EngModel *m = eng_model_open(EMBER, NULL, NULL);
    Answer whole = answer_whole(m, chinese);
    for (int k = 1; m && k < 40; k += 3) check_stopped(m, chinese, &whole, k, true);
    eng_model_free(m);
}

static void goes_on_twice_and_past_its_length(void)
{
    EngModel *m = eng_model_open(EMBER, NULL, NULL);
    EngSession *s = open_session(m);
    Answer whole = {0}, part = {0};
    run(s, &asked, 1, 45, &whole);
    for (int k = 0; k < 3; k++) { /* cut at its length twice */
        EngSampling greedy = eng_sampling_defaults();
        greedy.temperature = 0;
        greedy.max_tokens = k < 2 ? 7 : 31;
        Answer before = part;
        EngMessage turns[] = {asked, {.role = "assistant", .content = before.content}};
        EngStep step = {0};
        CHECK(eng_session_sampler(s, &greedy, NULL));
        CHECK(eng_session_prompt(s, turns, k ? 2 : 1, NULL, NULL));
        while (step.kind != ENG_DONE && eng_step(&s, 1, &step, NULL))
            if (step.kind == ENG_TEXT) strcat(part.content, step.text);
        if (k < 2) CHECK_INT(step.reason, ENG_STOP_LENGTH);
    }
    CHECK_STR(part.content, whole.content);
    eng_session_free(s);
    eng_model_free(m);
}

static const char *family(void)
{
    for (size_t i = 0; i < TEST_COUNT(families); i += 2)
        if (strcmp(families[i], test_name) == 0) return families[i + 1];
    return NULL;
}

static void goes_on_with_a_familys(void)
{
    size_t n = 0;
    File file = {0};
    char *tmpl = read_template(family(), &n);
    if (!tmpl) {
        test_skip("no HEARTH_SHARED");
        return;
    }
    EngModel *m = open_with(tmpl, n, &file, false);
    Answer whole = answer_whole(m, asked);
    for (int k = 1; m && k < 40; k += 6) check_stopped(m, asked, &whole, k, true);
    eng_model_free(m);
    free(file.bytes);
    free(tmpl);
}

/* ---- how the turn is written ----------------------------------------------------------------- */

static const struct {
    const char *family, *thinking, *content;
    const char *end; /* of the text that is gone on with, behind the question */
    EngPart part;
} forms[] = {
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "Well, they", "",
     "<｜Assistant｜><think>\nWell, they", ENG_PART_THINKING},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "Well.", "It is",
     "<｜Assistant｜><think>\nWell.\n</think>\n\nIt is", ENG_PART_ANSWER},
    {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", NULL, "It is ", "<｜Assistant｜>It is ",
     ENG_PART_ANSWER},
    {"Qwen-Qwen3-0.6B", "Well, they", "", "<|im_end|>\n<|im_start|>assistant\n<think>\nWell, they",
     ENG_PART_THINKING},
    {"Qwen-Qwen3-0.6B", "Well.", "It is\n",
     "<|im_end|>\n<|im_start|>assistant\n<think>\nWell.\n</think>\n\nIt is\n", ENG_PART_ANSWER},
    {"GLM-4.7-Flash", "Well.", "It is", "<|assistant|><think>Well.</think>It is", ENG_PART_ANSWER},
    {"GLM-4.7-Flash", "Well, they", NULL, "<|assistant|><think>Well, they", ENG_PART_THINKING},
    {"mistralai-Mistral-Nemo-Instruct-2407", NULL, "It is", "[/INST]It is", ENG_PART_ANSWER},
    {"openai-gpt-oss-120b", NULL, "It is",
     "<|end|><|start|>assistant<|channel|>final<|message|>It is", ENG_PART_ANSWER},
    {"deepseek-ai-DeepSeek-V3.1", NULL, "It is", "<｜Assistant｜><think></think>It is",
     ENG_PART_ANSWER},
    {"deepseek-ai-DeepSeek-V3.1", "Well, they", "", NULL, ENG_PART_ANSWER}, /* no room for it */
};

static void writes_turns_as_templates_do(void)
{
    for (size_t i = 0; i < TEST_COUNT(forms); i++) {
        size_t n = 0;
        File file = {0};
        EngPrompt p = {0};
        EngError err = {0};
        char *tmpl = read_template(forms[i].family, &n);
        if (!tmpl) {
            test_skip("no HEARTH_SHARED");
            return;
        }
        EngModel *m = open_with(tmpl, n, &file, true);
        EngMessage turns[] = {
            asked,
            {.role = "assistant", .content = forms[i].content, .thinking = forms[i].thinking}};
        CHECK_MSG(m && eng_prompt_render(m, turns, 2, NULL, &p, &err), "%s", err.message);
        const char *question = p.begun ? strstr(p.begun, asked.content) : NULL;
        if (forms[i].end)
            CHECK_STR(question ? question + strlen(asked.content) : "(no question)", forms[i].end);
        else
            CHECK(p.begun == NULL);
        CHECK_INT(p.part, forms[i].part);
        eng_prompt_clear(&p);
        eng_model_free(m);
        free(file.bytes);
        free(tmpl);
    }
}

static void writes_turns_without_a_template(void)
{
    EngPrompt p;
    EngError err = {0};
    EngModel *m = eng_model_open(TEST_DIR "/../oracle/vectors/v3_split.gguf", NULL, &err);
    EngMessage turns[] = {asked, {.role = "assistant", .content = "It is"}};
    CHECK_MSG(m && eng_prompt_render(m, turns, 2, NULL, &p, &err), "%s", err.message);
    CHECK_STR(p.begun, "user: What is a mixture of experts?\nassistant: It is");
    eng_prompt_clear(&p);
    turns[1].content = "";
    CHECK(eng_prompt_render(m, turns, 2, NULL, &p, &err)); /* nothing yet: answered */
    CHECK(p.begun == NULL);
    eng_prompt_clear(&p);
    eng_model_free(m);
}

int main(int argc, char **argv)
{
    Test tests[5 + TEST_COUNT(families) / 2] = {
        {"goes on with its own template", goes_on_with_its_own_template},
        {"goes on inside a character", goes_on_inside_a_character},
        {"goes on twice and past its length", goes_on_twice_and_past_its_length},
        {"writes turns as templates do", writes_turns_as_templates_do},
        {"writes turns without a template", writes_turns_without_a_template},
    };
    for (size_t i = 0; i < TEST_COUNT(families); i += 2)
        tests[5 + i / 2] = (Test){families[i], goes_on_with_a_familys};
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
