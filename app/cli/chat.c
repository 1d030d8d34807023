#include <string.h>

#include "cli/command.h"
#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/talk/repl.h"

typedef struct {
    HearthCommon common;
    const char *model, *prompt, *prompt_file, *system;
    int max_new_tokens, context, threads, top_k;
    double temperature, top_p, min_p, repeat_penalty;
    guint64 seed;
    HearthGpuOptions gpu;
    HearthExpertOptions experts;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0,
     "GGUF file (otherwise the built-in model)"},
    {"prompt", 0, HEARTH_OPTION_TEXT, "TEXT", offsetof(Values, prompt), 0, 0,
     "answer this one message and end"},
    {"prompt-file", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, prompt_file), 0, 0,
     "the same with the text in FILE; -: on the standard input"},
    {"system", 0, HEARTH_OPTION_TEXT, "TEXT", offsetof(Values, system), 0, 0,
     "instructions that stand before the conversation"},
    {"max-new-tokens", 0, HEARTH_OPTION_INT, "N", offsetof(Values, max_new_tokens), 1, 100000000,
     "longest answer (otherwise as long as the context)"},
    {"context", 0, HEARTH_OPTION_INT, "N", offsetof(Values, context), 1, 1 << 24,
     "tokens of context (otherwise the model's, 4096 at most)"},
    {"threads", 0, HEARTH_OPTION_INT, "N", offsetof(Values, threads), 1, 512,
     "worker threads (otherwise one per physical core)"},
    {"temperature", 0, HEARTH_OPTION_REAL, "T", offsetof(Values, temperature), 0, 100,
     "0: always the most probable token"},
    {"top-k", 0, HEARTH_OPTION_INT, "K", offsetof(Values, top_k), 0, 100000000,
     "draw from the K most probable tokens; 0: from all"},
    {"top-p", 0, HEARTH_OPTION_REAL, "P", offsetof(Values, top_p), 0, 1,
     "draw from the tokens that make up P of the probability"},
    {"min-p", 0, HEARTH_OPTION_REAL, "P", offsetof(Values, min_p), 0, 1,
     "leave out tokens below P times the most probable one"},
    {"repeat-penalty", 0, HEARTH_OPTION_REAL, "R", offsetof(Values, repeat_penalty), 0.1, 100,
     "above 1: avoid what was said lately"},
    {"seed", 0, HEARTH_OPTION_SEED, "S", offsetof(Values, seed), 0, 0,
     "the same seed gives the same answer"},
    HEARTH_GPU_OPTIONS(Values, gpu),
    HEARTH_EXPERT_OPTIONS(Values, experts),
    {NULL},
};

static void defaults(void *data)
{
    Values *values = data;
    EngSampling sampling = eng_sampling_defaults();
    values->temperature = sampling.temperature;
    values->top_k = sampling.top_k;
    values->top_p = sampling.top_p;
    values->min_p = sampling.min_p;
    values->repeat_penalty = sampling.repeat_penalty;
    values->seed = ENG_SEED_RANDOM;
}

static EngSampling sampling_of(const Values *values)
{
    EngSampling sampling = eng_sampling_defaults();
    sampling.temperature = (float)values->temperature;
    sampling.top_k = values->top_k;
    sampling.top_p = (float)values->top_p;
    sampling.min_p = (float)values->min_p;
    sampling.repeat_penalty = (float)values->repeat_penalty;
    sampling.seed = values->seed;
    sampling.max_tokens = values->max_new_tokens;
    return sampling;
}

/* The one message to answer; NULL when the person will type. */
static bool read_prompt(const Values *values, char **ret_prompt, GError **error)
{
    bool typed = hearth_console_is_terminal(HEARTH_CONSOLE_IN);
    g_autofree char *prompt = NULL;
    if (values->prompt && values->prompt_file)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--prompt and --prompt-file cannot both be given: choose one.");
    if (values->prompt) {
        if (!g_utf8_validate(values->prompt, -1, NULL))
            return hearth_error(error, HEARTH_ERROR_REFUSED,
                                "The prompt is no UTF-8 text: convert it to UTF-8 first.");
        prompt = g_strdup(values->prompt);
    } else if (values->prompt_file || !typed) {
        if (!hearth_io_read_text(values->prompt_file, "prompt", &prompt, error)) return false;
    } else if (values->common.json || !hearth_console_is_terminal(HEARTH_CONSOLE_OUT)) {
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "A conversation needs a terminal: give the message with --prompt, "
                            "--prompt-file or on the standard input.");
    }
    /* As in a conversation, where a line of spaces is no message. */
    if (prompt && !prompt[strspn(prompt, " \t\r\n")])
        return hearth_error(error, HEARTH_ERROR_USAGE, "The prompt is empty: write a message.");
    *ret_prompt = g_steal_pointer(&prompt);
    return true;
}

static bool print_json(const HearthAnswer *answer, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "text", answer->text->str, (gssize)answer->text->len);
    hearth_io_json_text(out, "thinking", answer->thinking->str, (gssize)answer->thinking->len);
    hearth_io_json_int(out, "prompt_tokens", (uint64_t)answer->stats.prompt_tokens);
    hearth_io_json_int(out, "tokens", (uint64_t)answer->stats.tokens);
    hearth_io_json_real(out, "prefill_tok_s", hearth_answer_prefill_speed(answer));
    hearth_io_json_real(out, "decode_tok_s", hearth_answer_decode_speed(answer));
    double experts = (double)(answer->stats.expert_hits + answer->stats.expert_misses);
    if (experts > 0)
        hearth_io_json_real(out, "expert_hit_rate", (double)answer->stats.expert_hits / experts);
    hearth_io_json_text(out, "stop", answer->stop, -1);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool answer_once(HearthTalk *talk, const char *prompt, bool as_json, GError **error)
{
    HearthShow show = as_json                                          ? HEARTH_SHOW_NOTHING
                      : hearth_console_is_terminal(HEARTH_CONSOLE_OUT) ? HEARTH_SHOW_TERMINAL
                                                                       : HEARTH_SHOW_ANSWER;
    g_auto(HearthAnswer) answer;
    hearth_answer_init(&answer);
    return hearth_talk_ask(talk, prompt, show, &answer, error) &&
           (!as_json || print_json(&answer, error));
}

static char *model_name(const Values *values, const HearthTalk *talk)
{
    EngModelInfo info = eng_model_info(hearth_talk_model(talk));
    if (*info.name) return g_strdup(info.name);
    return values->model ? g_path_get_basename(values->model) : g_strdup("Ember");
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    (void)operands;
    g_autofree char *prompt = NULL;
    if (!read_prompt(values, &prompt, error)) return false;
    if (values->system && !g_utf8_validate(values->system, -1, NULL))
        return hearth_error(error, HEARTH_ERROR_REFUSED,
                            "The text of --system is no UTF-8: convert it to UTF-8 first.");
    hearth_console_catch_interrupts();
    HearthLoad load = {.path = values->model,
                       .threads = values->threads,
                       .quiet = values->common.json,
                       .context = values->context,
                       .gpu = values->gpu,
                       .experts = values->experts};
    EngSampling sampling = sampling_of(values);
    g_autoptr(HearthTalk) talk =
        hearth_talk_new(&load, values->context, &sampling, values->system, error);
    if (!talk) return false;
    if (prompt) return answer_once(talk, prompt, values->common.json, error);
    g_autofree char *name = model_name(values, talk);
    return hearth_repl_run(talk, name, error);
}

const HearthCommand hearth_chat_command = {
    .name = "chat",
    .summary = "talk with a model",
    .synopsis = "[-m MODEL] [--prompt TEXT | --prompt-file FILE] [--system TEXT] [OPTION…]",
    .details = "Opens a conversation in the terminal: Ctrl-C stops an answer, Ctrl-D leaves,\n"
               "/help lists the commands. With a prompt, or text on the standard input, it\n"
               "answers once and ends. --json prints {\"text\", \"thinking\", \"prompt_tokens\",\n"
               "\"tokens\", \"prefill_tok_s\", \"decode_tok_s\", \"stop\"}.",
    .options = options,
    .values_size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
