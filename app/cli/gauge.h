/* `bench --kernels`: what the machine can do at most, and how near the engine's kernels come. */
#ifndef HEARTH_CLI_GAUGE_H
#define HEARTH_CLI_GAUGE_H

#include <glib.h>
#include <stdbool.h>

/* threads 0 = one per physical core. Prints rows as they are measured, or one JSON document. */
bool hearth_gauge_run(int threads, bool json, GError **error);

#endif
