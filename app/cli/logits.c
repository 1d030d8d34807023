#include "cli/command.h"
#include "cli/base/io.h"
#include "cli/loader.h"
#include "cli/base/tokens.h"

typedef struct {
    HearthCommon common;
    const char *model, *tokens, *out;
    int threads;
    HearthGpuOptions gpu;
    HearthExpertOptions experts;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0, "GGUF file"},
    {"tokens", 0, HEARTH_OPTION_TEXT, "IDS", offsetof(Values, tokens), 0, 0,
     "token ids between commas; @FILE or -: from FILE or the standard input"},
    {"out", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, out), 0, 0,
     "where to write; an existing file is replaced when all is computed"},
    {"threads", 0, HEARTH_OPTION_INT, "N", offsetof(Values, threads), 1, 512,
     "worker threads (otherwise one per physical core)"},
    HEARTH_GPU_OPTIONS(Values, gpu),
    HEARTH_EXPERT_OPTIONS(Values, experts),
    {NULL},
};

/* Rows computed before they are written: about 64 MiB of logits. */
#define PIECE_BYTES (64u << 20)

static bool read_tokens(const char *list, GArray *tokens, GError **error)
{
    bool from_file = list[0] == '@', from_stdin = g_str_equal(list, "-");
    g_autofree char *text = NULL;
    if ((from_file || from_stdin) &&
        !hearth_io_read_text(from_file ? list + 1 : "-", "list of tokens", &text, error))
        return false;
    return hearth_tokens_parse(text ? text : list, tokens, error);
}

static bool compute(EngSession *session, const GArray *tokens, size_t n_vocab, HearthIoFile *file,
                    GError **error)
{
    size_t piece = CLAMP(PIECE_BYTES / (n_vocab * sizeof(float)), 1, tokens->len);
    g_autofree float *rows = g_try_malloc_n(piece * n_vocab, sizeof(float));
    if (!rows)
        return hearth_error(error, HEARTH_ERROR_FAILED,
                            "Cannot get %zu bytes of DRAM for the logits: close other programs.",
                            piece * n_vocab * sizeof(float));
    for (size_t i = 0; i < tokens->len; i += piece) {
        size_t n = MIN(piece, tokens->len - i);
        EngError failure = {0};
        if (!eng_session_eval(session, &g_array_index(tokens, int32_t, i), n, rows, &failure))
            return hearth_error_from_engine(error, &failure);
#if G_BYTE_ORDER == G_BIG_ENDIAN
        guint32 *words = (guint32 *)(void *)rows;
        for (size_t k = 0; k < n * n_vocab; k++) words[k] = GUINT32_TO_LE(words[k]);
#endif
        if (!hearth_io_file_write(file, rows, n * n_vocab * sizeof(float), error)) return false;
    }
    return true;
}

static bool report(const GArray *tokens, int n_vocab, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_int(out, "n_tokens", tokens->len);
    hearth_io_json_int(out, "n_vocab", (uint64_t)n_vocab);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    (void)operands;
    if (!hearth_command_require(values->model, "logits", "--model", error) ||
        !hearth_command_require(values->tokens, "logits", "--tokens", error) ||
        !hearth_command_require(values->out, "logits", "--out", error))
        return false;
    g_autoptr(GArray) tokens = g_array_new(FALSE, FALSE, sizeof(int32_t));
    if (!read_tokens(values->tokens, tokens, error)) return false;
    HearthLoad load = {.path = values->model,
                       .threads = values->threads,
                       .quiet = values->common.json,
                       .context = (int)tokens->len,
                       .kv = ENG_KV_F32,
                       .gpu = values->gpu,
                       .experts = values->experts};
    g_autoptr(EngModel) model = hearth_loader_open(&load, NULL, error);
    if (!model || !hearth_tokens_check(tokens, model, error)) return false;

    EngSessionSettings settings = eng_session_defaults();
    settings.context = (int)tokens->len;
    settings.kv = ENG_KV_F32;
    EngError failure = {0};
    g_autoptr(EngSession) session = eng_session_new(model, &settings, &failure);
    if (!session) return hearth_error_from_engine(error, &failure);
    g_autoptr(HearthIoFile) file = hearth_io_file_new(values->out, error);
    int n_vocab = eng_model_info(model).n_vocab;
    if (!file || !compute(session, tokens, (size_t)n_vocab, file, error) ||
        !hearth_io_file_commit(file, error))
        return false;
    hearth_loader_tell_lost(model);
    return !values->common.json || report(tokens, n_vocab, error);
}

const HearthCommand hearth_logits_command = {
    .name = "logits",
    .summary = "write a model's raw outputs for given tokens",
    .synopsis = "-m MODEL --tokens IDS --out FILE [--threads N] [--json]",
    .details = "Computes the logits after each of the tokens, with a float32 KV cache, and\n"
               "writes them as little-endian float32 [n_tokens][n_vocab]. --json prints\n"
               "{\"n_tokens\", \"n_vocab\"} when the file is written.",
    .options = options,
    .values_size = sizeof(Values),
    .run = run,
};
