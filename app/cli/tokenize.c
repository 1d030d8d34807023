#include <stdlib.h>

#include "cli/command.h"
#include "cli/base/io.h"
#include "cli/loader.h"

typedef struct {
    HearthCommon common;
    const char *model, *file;
    gboolean no_bos, no_special;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0,
     "GGUF file whose vocabulary to use; one without weights will do"},
    {"file", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, file), 0, 0,
     "take the text from FILE instead of the standard input"},
    {"no-bos", 0, HEARTH_OPTION_FLAG, NULL, offsetof(Values, no_bos), 0, 0,
     "do not begin with BOS, even if the vocabulary asks for it"},
    {"no-special", 0, HEARTH_OPTION_FLAG, NULL, offsetof(Values, no_special), 0, 0,
     "treat the text of control tokens as ordinary text"},
    {NULL},
};

static bool print_json(const int32_t *tokens, size_t n, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    json_builder_set_member_name(out, "tokens");
    json_builder_begin_array(out);
    for (size_t i = 0; i < n; i++) json_builder_add_int_value(out, tokens[i]);
    json_builder_end_array(out);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool print_plain(const int32_t *tokens, size_t n, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    for (size_t i = 0; i < n; i++) g_string_append_printf(out, i ? " %d" : "%d", tokens[i]);
    g_string_append_c(out, '\n');
    return hearth_io_write(out->str, out->len, error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    (void)operands;
    if (!hearth_command_require(values->model, "tokenize", "--model", error)) return false;
    g_autoptr(EngModel) model = hearth_loader_open_vocab(values->model, error);
    if (!model) return false;
    g_autofree char *text = NULL;
    size_t len, n;
    if (!hearth_io_read(values->file, &text, &len, error)) return false;

    EngTokenizeOptions how = {.add_bos = !values->no_bos, .parse_special = !values->no_special};
    EngError failure = {0};
    int32_t *tokens;
    if (!eng_tokenize(model, text, len, how, &tokens, &n, &failure))
        return hearth_error_from_engine(error, &failure);
    bool done = values->common.json ? print_json(tokens, n, error) : print_plain(tokens, n, error);
    free(tokens);
    return done;
}

const HearthCommand hearth_tokenize_command = {
    .name = "tokenize",
    .summary = "turn a text into a model's token ids",
    .synopsis = "-m MODEL [--file FILE] [--no-bos] [--no-special] [--json]",
    .details = "Reads one whole text, byte for byte, and prints its token ids, separated by\n"
               "spaces; with --json {\"tokens\": [id, …]}.",
    .options = options,
    .values_size = sizeof(Values),
    .run = run,
};
