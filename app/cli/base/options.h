/* The options of a command as a table, and the one parser that fills the command's values from it.
 *
 * --name VALUE, --name=VALUE, -n VALUE, -nVALUE; `--` ends the options; the last of two wins. Every
 * command's values begin with HearthCommon, whose options all commands share. Strings are borrowed
 * from the arguments. */
#ifndef HEARTH_CLI_BASE_OPTIONS_H
#define HEARTH_CLI_BASE_OPTIONS_H

#include "error_from.h"

typedef enum {
    HEARTH_OPTION_FLAG,   /* gboolean: takes no value */
    HEARTH_OPTION_TEXT,   /* const char * */
    HEARTH_OPTION_CHOICE, /* const char *: one of `arg`, split at | */
    HEARTH_OPTION_INT,    /* int, min … max */
    HEARTH_OPTION_REAL,   /* double, min … max */
    HEARTH_OPTION_SEED,   /* guint64 below ENG_SEED_RANDOM */
    HEARTH_OPTION_SIZE    /* guint64, bytes, not 0: a number and its unit, 24GiB = 24G, 25GB */
} HearthOptionKind;

typedef struct {
    const char *name; /* without the dashes; NULL ends a table */
    char letter;      /* 0 = none */
    HearthOptionKind kind;
    const char *arg; /* what --help calls the value; NULL for a flag */
    size_t offset;   /* of the field in the command's values */
    double min, max; /* both included */
    const char *help;
} HearthOption;

typedef struct {
    gboolean json, help;
} HearthCommon;

extern const HearthOption hearth_options_common[];

/* What commands that open a model are told of the GPU. */
typedef struct {
    const char *use;    /* "auto", "off"; NULL = "auto" */
    const char *rules;  /* a file */
    const char *stream; /* of EngStreaming; NULL = "auto" */
    guint64 vram;
    int gpus;
} HearthGpuOptions;

/* Rows of a table of options, for values with a HearthGpuOptions called `member`. */
/* clang-format off */
#define HEARTH_GPU_OPTIONS(Values, member)                                                         \
    {"gpu", 0, HEARTH_OPTION_CHOICE, "auto|off", offsetof(Values, member.use), 0, 0,               \
     "whether a GPU may be used where there is one (auto)"},                                       \
    {"vram", 0, HEARTH_OPTION_SIZE, "SIZE", offsetof(Values, member.vram), 0, 0,                   \
     "most of a GPU's memory to take: 24GiB (what is free)"},                                      \
    {"gpus", 0, HEARTH_OPTION_INT, "N", offsetof(Values, member.gpus), 1, ENG_MAX_GPUS,            \
     "how many GPUs may be used (1, or as many as --rules name)"},                                 \
    {"stream", 0, HEARTH_OPTION_CHOICE, "auto|cpu|used|all", offsetof(Values, member.stream), 0,   \
     0, "which experts in DRAM a prompt sends to the GPU (auto)"},                                 \
    {"rules", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, member.rules), 0, 0,                 \
     "lines that say what lies where: REGEX device=gpuN|cpu|numaN|disk"}
/* clang-format on */

/* What commands that compute are told of a mixture's experts; 0: as the model was made. */
typedef struct {
    int used, defer; /* see EngModelSettings */
} HearthExpertOptions;

/* Rows, as above. */
/* clang-format off */
#define HEARTH_EXPERT_OPTIONS(Values, member)                                                      \
    {"experts", 0, HEARTH_OPTION_INT, "N", offsetof(Values, member.used), 1, 4096,                 \
     "fewer experts per token than the model's own: changes its answers"},                         \
    {"defer", 0, HEARTH_OPTION_INT, "N", offsetof(Values, member.defer), 0, 4095,                  \
     "experts of these that are added a layer later: changes its answers"}
/* clang-format on */

/* Fills `values`; what is no option goes to `operands` (borrowed strings). `args` ends with NULL.
 */
bool hearth_options_parse(const char *command, const HearthOption *options, char **args,
                          void *values, GPtrArray *operands, GError **error);

/* Lines for --help: a table's options with their help texts. */
void hearth_options_describe(const HearthOption *options, GString *out);

/* How a SIZE is written, when one of them takes it. */
void hearth_options_describe_sizes(const HearthOption *options, GString *out);

/* A whole number and nothing else. For operands and lists, too. */
bool hearth_options_number(const char *text, gint64 min, gint64 max, gint64 *ret);

#endif
