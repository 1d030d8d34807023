/* The machine, the model and the moment as plain text for a bug report. Of the model's path only
 * the file's name: the rest is nobody's business. */
#ifndef HEARTH_REPORT_H
#define HEARTH_REPORT_H

#include "telemetry.h"

/* `host` and `worker` may be NULL; g_free(). */
char *hearth_report_new(const HearthHost *host, HearthWorker *worker, const HearthSample *sample);

#endif
