#include "cli/talk/repl.h"

#include <string.h>

#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/talk/lines.h"
#include "paths.h"

#define HOW_TO_LEAVE "To leave, press Ctrl-D or type /quit."

typedef struct {
    HearthTalk *talk;
    HearthLines *lines;
    bool quit;
} Repl;

/* A dim line of ours between the messages. */
static bool say(const char *text, GError **error)
{
    g_autofree char *line =
        g_strdup_printf("%s%s%s\n", hearth_console_dim(), text, hearth_console_normal());
    return hearth_io_write(line, strlen(line), error);
}

/* An answer that failed is said and the conversation goes on; a closed output ends it. */
static bool settle(bool done, GError *cause, GError **error)
{
    if (done) return true;
    if (g_error_matches(cause, HEARTH_ERROR, HEARTH_ERROR_CLOSED)) {
        g_propagate_error(error, cause);
        return false;
    }
    hearth_console_complain(cause->message);
    g_error_free(cause);
    return true;
}

static bool ask(Repl *repl, const char *message, GError **error)
{
    g_auto(HearthAnswer) answer;
    hearth_answer_init(&answer);
    GError *cause = NULL;
    bool done = message
                    ? hearth_talk_ask(repl->talk, message, HEARTH_SHOW_TERMINAL, &answer, &cause)
                    : hearth_talk_ask_again(repl->talk, HEARTH_SHOW_TERMINAL, &answer, &cause);
    return settle(done, cause, error);
}

static bool do_new(Repl *repl, const char *rest, GError **error)
{
    (void)rest;
    hearth_talk_forget(repl->talk);
    return say("A new conversation.", error);
}

static bool do_system(Repl *repl, const char *rest, GError **error)
{
    hearth_talk_set_system(repl->talk, rest);
    return say(*rest ? "From now on the model gets these instructions."
                     : "The model gets no instructions any more.",
               error);
}

static bool do_regenerate(Repl *repl, const char *rest, GError **error)
{
    (void)rest;
    return ask(repl, NULL, error);
}

static bool do_stats(Repl *repl, const char *rest, GError **error)
{
    (void)rest;
    EngStats stats = hearth_talk_stats(repl->talk);
    EngModelInfo info = eng_model_info(hearth_talk_model(repl->talk));
    g_autofree char *kv = g_format_size_full(stats.kv_bytes, G_FORMAT_SIZE_IEC_UNITS),
                    *weights = g_format_size_full(info.weight_bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_autofree char *text = g_strdup_printf(
        "Context: %d of %d tokens\n"
        "Last prompt: %d tokens, %d of them already in the cache, read in %.2f s\n"
        "Last answer: %d tokens in %.2f s, the first after %.2f s\n"
        "Memory: weights %s, KV cache %s; %d threads",
        stats.used, stats.context, stats.prompt_tokens, stats.reused_tokens, stats.prefill_s,
        stats.tokens, stats.decode_s, stats.first_token_s, weights, kv, info.threads);
    return say(text, error);
}

static bool do_quit(Repl *repl, const char *rest, GError **error)
{
    (void)rest;
    (void)error;
    repl->quit = true;
    return true;
}

static bool do_help(Repl *repl, const char *rest, GError **error);

static const struct {
    const char *name, *arg, *help;
    bool (*run)(Repl *repl, const char *rest, GError **error);
} commands[] = {
    {"new", "", "forget the conversation and begin another", do_new},
    {"regenerate", "", "answer the last message once more", do_regenerate},
    {"system", " TEXT", "instructions for the model; without TEXT: none", do_system},
    {"stats", "", "context, speed and memory", do_stats},
    {"help", "", "this list", do_help},
    {"quit", "", "leave, as Ctrl-D does", do_quit},
};

static bool do_help(Repl *repl, const char *rest, GError **error)
{
    (void)repl;
    (void)rest;
    g_autoptr(GString) out = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        g_autofree char *left = g_strconcat("/", commands[i].name, commands[i].arg, NULL);
        g_string_append_printf(out, "%-14s %s\n", left, commands[i].help);
    }
    g_string_append(out, "Ctrl-C stops an answer. A line that ends with \\ goes on in the next\n"
                         "one; \"\"\" begins and ends a message of several lines.");
    return say(out->str, error);
}

/* "/word rest" is a command; anything else, such as a path, is a message. */
static bool is_command(const char *text)
{
    size_t n = 0;
    if (text[0] != '/') return false;
    while (g_ascii_islower(text[1 + n])) n++;
    return n > 0 && (text[1 + n] == 0 || text[1 + n] == ' ');
}

static bool run_command(Repl *repl, const char *text, GError **error)
{
    size_t len = strcspn(text + 1, " ");
    g_autofree char *rest = g_strstrip(g_strdup(text + 1 + len));
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strlen(commands[i].name) == len && strncmp(commands[i].name, text + 1, len) == 0)
            return commands[i].run(repl, rest, error);
    return say("There is no such command: /help lists them. Put a space before the / to send "
               "the line as a message.",
               error);
}

/* The lines after the first, which opened a block: up to the one that ends with """. */
static HearthLinesResult read_block(Repl *repl, GString *message)
{
    for (;;) {
        g_autofree char *line = NULL;
        HearthLinesResult result = hearth_lines_read(repl->lines, "| ", &line);
        if (result != HEARTH_LINES_TEXT) return result;
        g_string_append(message, line);
        if (g_str_has_suffix(line, "\"\"\"")) {
            g_string_truncate(message, message->len - 3);
            return HEARTH_LINES_TEXT;
        }
        g_string_append_c(message, '\n');
    }
}

static HearthLinesResult read_message(Repl *repl, GString *message)
{
    g_autofree char *line = NULL;
    HearthLinesResult result = hearth_lines_read(repl->lines, "> ", &line);
    if (result != HEARTH_LINES_TEXT) return result;
    if (g_str_has_prefix(line, "\"\"\"")) {
        size_t len = strlen(line);
        if (len >= 6 && g_str_has_suffix(line, "\"\"\"")) {
            g_string_append_len(message, line + 3, (gssize)len - 6);
            return HEARTH_LINES_TEXT;
        }
        if (line[3]) g_string_append_printf(message, "%s\n", line + 3);
        return read_block(repl, message);
    }
    while (g_str_has_suffix(line, "\\")) {
        g_string_append_len(message, line, (gssize)strlen(line) - 1);
        g_string_append_c(message, '\n');
        g_clear_pointer(&line, g_free);
        result = hearth_lines_read(repl->lines, "| ", &line);
        if (result != HEARTH_LINES_TEXT) return result;
    }
    g_string_append(message, line);
    return HEARTH_LINES_TEXT;
}

static bool take_message(Repl *repl, const char *message, GError **error)
{
    g_autofree char *stripped = g_strstrip(g_strdup(message));
    if (!*stripped) return true;
    hearth_lines_remember(repl->lines, message);
    if (!g_utf8_validate(message, -1, NULL)) return say("That was no UTF-8 text.", error);
    return is_command(message) ? run_command(repl, stripped, error) : ask(repl, message, error);
}

bool hearth_repl_run(HearthTalk *talk, const char *name, GError **error)
{
    g_autofree char *history = hearth_paths_data_file("chat-history");
    Repl repl = {.talk = talk, .lines = hearth_lines_new(history)};
    g_autofree char *clean = hearth_console_clean(name);
    int context = hearth_talk_stats(talk).context,
        trained = eng_model_info(hearth_talk_model(talk)).context_trained;
    g_autofree char *beyond =
        trained && context > trained
            ? g_strdup_printf(", beyond %d of which answers get worse", trained)
            : g_strdup("");
    g_autofree char *greeting = g_strdup_printf(
        "%s · %d tokens of context%s · /help lists the commands", clean, context, beyond);
    bool done = say(greeting, error);
    while (done && !repl.quit) {
        g_autoptr(GString) message = g_string_new(NULL);
        switch (read_message(&repl, message)) {
        case HEARTH_LINES_TEXT: done = take_message(&repl, message->str, error); break;
        case HEARTH_LINES_INTERRUPT: done = say("\n" HOW_TO_LEAVE, error); break;
        case HEARTH_LINES_END:
            done = hearth_io_write("\n", 1, error);
            repl.quit = true;
            break;
        }
    }
    hearth_lines_free(repl.lines);
    return done;
}
