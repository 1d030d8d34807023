#include <stdlib.h>

#include "cli/command.h"
#include "cli/base/io.h"
#include "cli/loader.h"
#include "cli/base/tokens.h"

typedef struct {
    HearthCommon common;
    const char *model;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0,
     "GGUF file whose vocabulary to use; one without weights will do"},
    {NULL},
};

static bool print(const char *text, size_t len, bool as_json, GError **error)
{
    if (!as_json) return hearth_io_write(text, len, error);
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "text", text, (gssize)len);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    if (!hearth_command_require(values->model, "detokenize", "--model", error)) return false;
    if (!hearth_command_require(operands[0], "detokenize", "token ids", error)) return false;
    g_autoptr(GArray) tokens = g_array_new(FALSE, FALSE, sizeof(int32_t));
    for (char **p = operands; *p; p++)
        if (!hearth_tokens_parse(*p, tokens, error)) return false;
    g_autoptr(EngModel) model = hearth_loader_open_vocab(values->model, error);
    if (!model || !hearth_tokens_check(tokens, model, error)) return false;

    EngError failure = {0};
    char *text;
    size_t len;
    if (!eng_detokenize(model, (const int32_t *)(void *)tokens->data, tokens->len, true, &text,
                        &len, &failure))
        return hearth_error_from_engine(error, &failure);
    bool done = print(text, len, values->common.json, error);
    free(text);
    return done;
}

const HearthCommand hearth_detokenize_command = {
    .name = "detokenize",
    .summary = "turn token ids back into text",
    .synopsis = "-m MODEL [--json] ID…",
    .details = "Prints the text of the ids, control tokens included, byte for byte and with no\n"
               "newline added; with --json {\"text\"}, where U+FFFD stands for what is no UTF-8.",
    .options = options,
    .values_size = sizeof(Values),
    .max_operands = -1,
    .run = run,
};
