/* hearth-cli: a table of commands, one file each; this header is what they share.
 *
 * A command is data: its options (options.h), its texts for --help, and a function that gets the
 * filled values. It writes its result through io.h and returns false with an error; what becomes of
 * the error (one sentence on stderr, the exit code) is decided in command.c alone. */
#ifndef HEARTH_CLI_COMMAND_H
#define HEARTH_CLI_COMMAND_H

#include "cli/base/options.h"
#include "cli/main.h"

typedef struct {
    const char *name;
    const char *summary;  /* one line in the list of commands */
    const char *synopsis; /* what follows the name */
    const char *details;  /* paragraphs of --help */
    const HearthOption *options;
    size_t values_size;             /* of its values, which begin with HearthCommon */
    int max_operands;               /* -1 = any number */
    void (*defaults)(void *values); /* NULL = all zero */
    /* `operands` ends with NULL. */
    bool (*run)(const void *values, char **operands, GError **error);
} HearthCommand;

extern const HearthCommand hearth_chat_command, hearth_tokenize_command, hearth_detokenize_command,
    hearth_render_command, hearth_logits_command, hearth_inspect_command, hearth_bench_command,
    hearth_hardware_command, hearth_rehearse_command, hearth_plan_command;

/* For commands that need what the option `name` gives. */
bool hearth_command_require(const void *value, const char *command, const char *option,
                            GError **error);

#endif
