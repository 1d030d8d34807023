#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "cli/base/console.h"
#include "cli/base/io.h"

static const HearthCommand *const commands[] = {
    &hearth_chat_command,     &hearth_inspect_command,    &hearth_hardware_command,
    &hearth_bench_command,    &hearth_plan_command,       &hearth_rehearse_command,
    &hearth_tokenize_command, &hearth_detokenize_command, &hearth_render_command,
    &hearth_logits_command,
};

static const HearthCommand *find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

bool hearth_command_require(const void *value, const char *command, const char *option,
                            GError **error)
{
    if (value) return true;
    return hearth_error(error, HEARTH_ERROR_USAGE, "%s needs %s: see 'hearth-cli %s --help'.",
                        command, option, command);
}

static bool print_overview(GError **error)
{
    g_autoptr(GString) out = g_string_new("Hearth runs large language models on this computer.\n\n"
                                          "usage: hearth-cli COMMAND [OPTION…]\n\n");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        g_string_append_printf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    g_string_append(out, "\n"
                         "  help COMMAND explain a command, as COMMAND --help does\n"
                         "  --version    print the version\n\n"
                         "Start with 'hearth-cli chat': it needs no model file.\n");
    return hearth_io_write(out->str, out->len, error);
}

static bool print_help(const HearthCommand *command, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_string_append_printf(out, "usage: hearth-cli %s %s\n\n%s\n\n", command->name,
                           command->synopsis, command->details);
    hearth_options_describe(command->options, out);
    hearth_options_describe(hearth_options_common, out);
    hearth_options_describe_sizes(command->options, out);
    return hearth_io_write(out->str, out->len, error);
}

/* A model's file alone is what most programs take. */
static bool refuse_operand(const HearthCommand *command, const char *operand, GError **error)
{
    bool takes_model = false;
    for (const HearthOption *o = command->options; o->name; o++)
        takes_model |= strcmp(o->name, "model") == 0;
    return hearth_error(error, HEARTH_ERROR_USAGE,
                        "%s does not know what to do with \"%s\": %ssee 'hearth-cli %s --help'.",
                        command->name, operand, takes_model ? "a model stands after -m; " : "",
                        command->name);
}

static bool run_command(const HearthCommand *command, char **args, GError **error)
{
    g_autofree HearthCommon *values = g_malloc0(command->values_size);
    g_autoptr(GPtrArray) operands = g_ptr_array_new();
    if (command->defaults) command->defaults(values);
    if (!hearth_options_parse(command->name, command->options, args, values, operands, error))
        return false;
    if (values->help) return print_help(command, error);
    if (command->max_operands >= 0 && operands->len > (guint)command->max_operands)
        return refuse_operand(command, operands->pdata[command->max_operands], error);
    g_ptr_array_add(operands, NULL);
    return command->run(values, (char **)operands->pdata, error);
}

static bool dispatch(char **args, GError **error)
{
    const char *name = args[0];
    if (!name)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "Say what to do, for example 'hearth-cli chat': 'hearth-cli --help' "
                            "lists the commands.");
    if (strcmp(name, "--version") == 0) {
        static const char version[] = "hearth-cli " HEARTH_VERSION "\n";
        return hearth_io_write(version, strlen(version), error);
    }
    bool help = strcmp(name, "help") == 0;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (help && !args[1]))
        return print_overview(error);
    const HearthCommand *command = find(help ? args[1] : name);
    if (!command)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "There is no command \"%s\": 'hearth-cli --help' lists the commands.",
                            help ? args[1] : name);
    return help ? print_help(command, error) : run_command(command, args + 1, error);
}

static int exit_code(const GError *error)
{
    if (error->domain != HEARTH_ERROR) return 1;
    switch ((HearthError)error->code) {
    case HEARTH_ERROR_USAGE: return 2;
    case HEARTH_ERROR_REFUSED:
    case HEARTH_ERROR_TEMPLATE: return 3;
    case HEARTH_ERROR_CLOSED: return 0;
    case HEARTH_ERROR_FAILED: break;
    }
    return 1;
}

int hearth_command_main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    (void)argc;
    hearth_console_init();
    bool done = dispatch(argv[0] ? argv + 1 : argv, &error) && hearth_io_finish(&error);
    if (done) return 0;
    if (g_error_matches(error, HEARTH_ERROR, HEARTH_ERROR_TEMPLATE))
        fprintf(stderr, "%s\n", error->message);
    else if (!g_error_matches(error, HEARTH_ERROR, HEARTH_ERROR_CLOSED))
        hearth_console_complain(error->message);
    return exit_code(error);
}
