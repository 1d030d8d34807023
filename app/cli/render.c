#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/base/io.h"
#include "cli/loader.h"
#include "cli/base/members.h"

typedef struct {
    HearthCommon common;
    const char *model, *tmpl, *request;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0,
     "GGUF file whose chat template to use"},
    {"template", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, tmpl), 0, 0,
     "use the template in FILE, with no model"},
    {"request", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, request), 0, 0,
     "what to render; -: the standard input"},
    {NULL},
};

/* What is wrong is told by its place in the file: the parts of the request, which the template gets
 * written anew, have other places. */
static bool check_json(const char *text, GError **error)
{
    EngError failure = {0};
    char *said = NULL;
    bool sound = eng_chat_render_template("", text, NULL, &said, &failure);
    if (!sound) hearth_error(error, HEARTH_ERROR_REFUSED, "%s", said ? said : failure.message);
    free(said);
    return sound;
}

/* The template's variables: the members of "input", and those of "tokens" that it has not. */
static bool read_request(const char *path, char **ret_variables, char **ret_now, GError **error)
{
    g_autofree char *text = NULL;
    if (!hearth_io_read_text(path, "request", &text, error) || !check_json(text, error))
        return false;
    g_autoptr(HearthMembers) request = hearth_members_new(text, error);
    if (!request) return false;
    const char *input_text = hearth_members_get(request, "input");
    if (!input_text)
        return hearth_error(
            error, HEARTH_ERROR_REFUSED,
            "The request has no \"input\": write {\"input\": {\"messages\": […]}}.");
    g_autoptr(HearthMembers) input = hearth_members_new(input_text, error);
    if (!input) return false;
    const char *tokens_text = hearth_members_get(request, "tokens");
    g_autoptr(HearthMembers) tokens = hearth_members_new(tokens_text ? tokens_text : "{}", error);
    if (!tokens) return false;
    if (!hearth_members_get_string(request, "now", ret_now, error)) return false;
    hearth_members_add_missing(input, tokens);
    *ret_variables = hearth_members_to_text(input);
    return true;
}

static bool print(const char *text, bool as_json, GError **error)
{
    if (!as_json) return hearth_io_write(text, strlen(text), error);
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "text", text, -1);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

/* A failing template speaks for itself: its message is passed on as it is, and whole. */
static bool template_failed(char *message, const EngError *failure, GError **error)
{
    if (failure->code == ENG_ERR_REFUSED)
        hearth_error(error, HEARTH_ERROR_TEMPLATE, "%s", message ? message : failure->message);
    else
        hearth_error_from_engine(error, failure);
    free(message);
    return false;
}

static bool render(const Values *values, const char *variables, const char *now, char **ret_text,
                   GError **error)
{
    EngError failure = {0};
    char *text = NULL;
    bool done;
    if (values->model) {
        g_autoptr(EngModel) model = hearth_loader_open_vocab(values->model, error);
        if (!model) return false;
        done = eng_chat_render(model, variables, now, &text, &failure);
    } else {
        g_autofree char *tmpl = NULL;
        if (!hearth_io_read_text(values->tmpl, "template", &tmpl, error)) return false;
        done = eng_chat_render_template(tmpl, variables, now, &text, &failure);
    }
    if (!done) return template_failed(text, &failure, error);
    *ret_text = text;
    return true;
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    (void)operands;
    if (!values->model == !values->tmpl)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "render needs either --model or --template: see 'hearth-cli render "
                            "--help'.");
    if (!hearth_command_require(values->request, "render", "--request", error)) return false;
    g_autofree char *variables = NULL, *now = NULL;
    char *text;
    if (!read_request(values->request, &variables, &now, error) ||
        !render(values, variables, now, &text, error))
        return false;
    bool done = print(text, values->common.json, error);
    free(text);
    return done;
}

const HearthCommand hearth_render_command = {
    .name = "render",
    .summary = "show the prompt that a chat template makes",
    .synopsis = "(-m MODEL | --template FILE) --request FILE [--json]",
    .details = "Renders a chat template. The request is a JSON object: \"input\" holds the\n"
               "template's variables (messages, tools, add_generation_prompt, …), \"tokens\"\n"
               "bos_token and the like, \"now\" the local time that the template sees, as in\n"
               "2026-03-09T08:05:07. Prints the text as it is; with --json {\"text\"}. When the\n"
               "template raises an error, its message is printed and the exit code is 3.",
    .options = options,
    .values_size = sizeof(Values),
    .run = run,
};
