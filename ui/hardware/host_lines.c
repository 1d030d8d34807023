#include "hardware/host_lines.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "amount.h"

static void line_free(gpointer data)
{
    HearthHostLine *line = data;
    g_free(line->value);
    g_free(line);
}

/* Takes `value`. */
static void add(GPtrArray *lines, const char *name, char *value)
{
    HearthHostLine *line = g_new(HearthHostLine, 1);
    *line = (HearthHostLine){.name = name, .value = value};
    g_ptr_array_add(lines, line);
}

static char *cores_text(const HearthHost *host)
{
    g_autofree char *cores =
        g_strdup_printf(ngettext("%d core", "%d cores", (gulong)host->cores), host->cores);
    if (host->threads == host->cores) return g_steal_pointer(&cores);
    g_autofree char *threads = g_strdup_printf(
        ngettext("%d hardware thread", "%d hardware threads", (gulong)host->threads),
        host->threads);
    /* Translators: "32 cores, 64 hardware threads" */
    return g_strdup_printf(C_("processor", "%s, %s"), cores, threads);
}

static char *caches_text(const HearthHost *host)
{
    static const char *const names[] = {"L1", "L2", "L3"};
    const uint64_t bytes[] = {host->l1d, host->l2, host->l3};
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(bytes); i++) {
        if (!bytes[i]) continue;
        g_autofree char *size = hearth_amount_bytes(bytes[i]);
        g_string_append_printf(text, "%s%s %s", text->len ? " · " : "", names[i], size);
    }
    if (!text->len) g_string_append(text, _("Unknown"));
    return g_string_free(text, FALSE);
}

static char *nodes_text(const HearthHost *host)
{
    int n = MIN(host->nodes, (int)G_N_ELEMENTS(host->node_bytes));
    if (n <= 1) return g_strdup(_("One, all memory is equally near"));
    GString *text = g_string_new(NULL);
    for (int i = 0; i < n; i++) {
        g_autofree char *size = hearth_amount_bytes(host->node_bytes[i]);
        g_string_append_printf(text, "%s%d: %s", i ? " · " : "", i, size);
    }
    return g_string_free(text, FALSE);
}

char *hearth_host_lines_no_gpu(const HearthHost *host)
{
    const char *reason = host->error ? host->error : host->gpu_reason;
    if (!reason || !*reason) return g_strdup(_("No GPU in use"));
    /* Translators: the sentence that says why */
    return g_strdup_printf(_("No GPU in use. %s"), reason);
}

char *hearth_host_lines_gpu(const HearthHost *host)
{
    if (!host->gpu || !*host->gpu) return hearth_host_lines_no_gpu(host);
    GString *text = g_string_new(NULL);
    for (int i = 0; i < MAX(host->n_gpus, 1); i++) {
        g_autofree char *size =
            hearth_amount_bytes(i ? host->gpus[i].vram_total : host->vram_total);
        if (i) g_string_append_c(text, '\n');
        /* Translators: a GPU's name and its memory: "GeForce RTX 4090, 24.0 GiB VRAM" */
        g_string_append_printf(text, _("%s, %s VRAM"), i ? host->gpus[i].name : host->gpu, size);
    }
    return g_string_free(text, FALSE);
}

GPtrArray *hearth_host_lines_new(const HearthHost *host)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(line_free);
    add(lines, _("Processor"), g_strdup(host->cpu && *host->cpu ? host->cpu : _("Unknown")));
    add(lines, _("Cores"), cores_text(host));
    add(lines, _("Instruction Sets"),
        g_strdup(host->isa && *host->isa ? host->isa : _("Portable C only")));
    if (host->isa_limit && *host->isa_limit)
        add(lines, _("Limited By"), g_strdup_printf("HEARTH_CPU_MASK=%s", host->isa_limit));
    if (host->no_amx) add(lines, _("Without AMX"), g_strdup(host->no_amx));
    add(lines, _("Caches"), caches_text(host));
    add(lines, _("Memory"), hearth_amount_bytes(host->dram_total));
    add(lines, _("NUMA Nodes"), nodes_text(host));
    add(lines, _("Graphics"), hearth_host_lines_gpu(host));
    return lines;
}
