/* How fast a model that is open reads and writes: what bench and rehearse share. */
#ifndef HEARTH_CLI_MEASURE_H
#define HEARTH_CLI_MEASURE_H

#include <json-glib/json-glib.h>

#include "cli/base/options.h"

/* Options of its commands fill the upper part, see below. */
typedef struct {
    int prompt, generate; /* tokens of the two tests; 0: not this one */
    int depth;            /* tokens, made up, already in the context before each */
    int repeat;           /* times that each is measured */
    int threads;          /* 0: one per core. For who opens the model */
    int batch; /* tokens of a prompt read at once; 0: what suits the machine. Also for that one */
    const char *kv; /* see eng_kv_type */
    HearthGpuOptions gpu;
    HearthExpertOptions experts;

    bool warm_up; /* once more, before that */
    bool ops;     /* what the CPU's time went to, too */
    bool quiet;   /* no progress line */
} HearthMeasure;

/* Rows of a table of options, for values with a HearthMeasure called `member`. The two defaults are
 * texts for --help; hearth_measure_defaults sets them. */
/* clang-format off */
#define HEARTH_MEASURE_OPTIONS(Values, member, generate_text, repeat_text)                         \
    {"prompt-tokens", 'p', HEARTH_OPTION_INT, "N", offsetof(Values, member.prompt), 0, 1000000,    \
     "length of the prompt to read (512); 0: skip this test"},                                     \
    {"new-tokens", 'n', HEARTH_OPTION_INT, "N", offsetof(Values, member.generate), 0, 1000000,     \
     "tokens to generate, one by one (" generate_text "); 0: skip this test"},                     \
    {"depth", 'd', HEARTH_OPTION_INT, "N", offsetof(Values, member.depth), 0, 1000000,             \
     "tokens, made up, already in the context before each test (0)"},                              \
    {"repeat", 'r', HEARTH_OPTION_INT, "N", offsetof(Values, member.repeat), 1, 1000,              \
     "times each test is measured (" repeat_text ")"},                                             \
    {"threads", 0, HEARTH_OPTION_INT, "N", offsetof(Values, member.threads), 1, 512,               \
     "worker threads (otherwise one per physical core)"},                                          \
    {"batch", 0, HEARTH_OPTION_INT, "N", offsetof(Values, member.batch), 1, 16384,                 \
     "tokens of a prompt to read at once (otherwise what suits the machine)"},                     \
    {"kv", 0, HEARTH_OPTION_CHOICE, "f16|q8_0", offsetof(Values, member.kv), 0, 0,                 \
     "16 bits per number of the context, or 8 (f16)"},                                             \
    HEARTH_GPU_OPTIONS(Values, member.gpu),                                                        \
    HEARTH_EXPERT_OPTIONS(Values, member.experts)
/* clang-format on */

HearthMeasure hearth_measure_defaults(int generate, int repeat);
EngKvType hearth_measure_kv(const HearthMeasure *what);
int hearth_measure_context(const HearthMeasure *what); /* tokens */

typedef struct {
    char *name;              /* "pp512", "tg64", "tg64@d1024" */
    int n;                   /* tokens */
    bool reads;              /* a prompt; otherwise one token after the other */
    double median, min, max; /* tok/s */
    EngStreaming streaming;  /* where most of what was read met experts in DRAM */
    double hit_rate;         /* of experts cached in VRAM, 0 … 1; below 0: there is no cache */
    GArray *ops;             /* of EngOpTime, of one token on average; NULL: nobody asked */
} HearthMeasured;

/* Whether there is anything to measure: for who has much to do before. */
bool hearth_measure_check(const HearthMeasure *measure, GError **error);

/* *ret_rows: of HearthMeasured; g_array_unref(). Random tokens, always the same ones. */
bool hearth_measure_run(EngModel *model, const HearthMeasure *measure, GArray **ret_rows,
                        GError **error);

/* A member "rows". */
void hearth_measure_add_json(JsonBuilder *out, const GArray *rows);
void hearth_measure_append(GString *out, const GArray *rows);

#endif
