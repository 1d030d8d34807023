/* A plug-in that does one thing wrong, the one that BROKEN_PLUGIN names. */
#include "hearth_plugin.h"

#include <stdlib.h>
#include <string.h>

static bool is(const char *fault)
{
    const char *wanted = getenv("BROKEN_PLUGIN");
    return wanted && strcmp(wanted, fault) == 0;
}

uint32_t hearth_plugin_version(void)
{
    return is("version") ? HEARTH_PLUGIN_VERSION + 1 : HEARTH_PLUGIN_VERSION;
}

static void multiply(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
                     const void *x, size_t x_stride, float *y, size_t y_stride)
{
    (void)n, (void)n_rows, (void)n_tokens, (void)w, (void)w_stride, (void)x, (void)x_stride;
    (void)y, (void)y_stride;
}

void hearth_plugin_register(const HearthPluginHost *host)
{
    HearthKernel kernel = {sizeof kernel, 8, HEARTH_ACTIVATION_F32, "broken", multiply};
    char name[100] = "";
    if (is("version")) abort(); /* it is not to be called */
    if (is("nothing")) return;
    if (is("size")) kernel.size = 4;
    if (is("format")) kernel.type = 4; /* was taken out of the format years ago */
    if (is("far format")) kernel.type = 123456;
    if (is("float form")) kernel.type = 0, kernel.activation = HEARTH_ACTIVATION_Q8_0;
    if (is("wide form")) kernel.activation = HEARTH_ACTIVATION_Q8_K;
    if (is("no form")) kernel.activation = 3;
    if (is("no name")) kernel.name = NULL;
    if (is("empty name")) kernel.name = "";
    if (is("blank")) kernel.name = "two words";
    if (is("long name")) kernel.name = memset(name, 'x', sizeof name - 1);
    if (is("no function")) kernel.matmul = NULL;
    if (is("taken")) kernel.name = "q8_0.c";
    bool added = host->add_kernel(host, is("no kernel") ? NULL : &kernel);
    if (is("twice")) added = host->add_kernel(host, &kernel);
    if (added) return;
    kernel.name = "sound"; /* what comes after a refusal does not make it good */
    host->add_kernel(host, &kernel);
}
