/* The machine in lines of a name and a value: for the hardware page and for the report. */
#ifndef HEARTH_HOST_LINES_H
#define HEARTH_HOST_LINES_H

#include "telemetry.h"

typedef struct {
    const char *name; /* static, translated */
    char *value;
} HearthHostLine;

/* Of HearthHostLine; g_ptr_array_unref(). */
GPtrArray *hearth_host_lines_new(const HearthHost *host);

/* The GPU's name and memory; hearth_host_lines_no_gpu() where there is none. g_free(). */
char *hearth_host_lines_gpu(const HearthHost *host);

/* "No GPU in use. " and the reason; g_free(). */
char *hearth_host_lines_no_gpu(const HearthHost *host);

#endif
