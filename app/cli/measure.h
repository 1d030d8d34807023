/* How fast a model that is open reads and writes: what bench and rehearse share. */
#ifndef HEARTH_CLI_MEASURE_H
#define HEARTH_CLI_MEASURE_H

#include <json-glib/json-glib.h>

#include "error_from.h"

typedef struct {
    int prompt, generate; /* tokens of the two tests; 0: not this one */
    int depth;            /* tokens, made up, already in the context before each */
    int repeat;           /* times that each is measured */
    bool warm_up;         /* once more, before that */
    bool quiet;           /* no progress line */
    const char *kv;       /* "q8_0"; otherwise f16 */
} HearthMeasure;

typedef struct {
    char *name;              /* "pp512", "tg64", "tg64@d1024" */
    int n;                   /* tokens */
    bool reads;              /* a prompt; otherwise one token after the other */
    double median, min, max; /* tok/s */
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
