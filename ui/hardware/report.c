#include "hardware/report.h"

#include <adwaita.h>
#include <glib/gi18n-lib.h>

#include "hardware/plan/forecast.h"
#include "hardware/host_lines.h"
#include "hardware/plan/residency.h"
#include "amount.h"
#include "models/model_name.h"

static void add(GString *text, const char *name, const char *value)
{
    g_string_append_printf(text, "%s: %s\n", name, value);
}

static void add_versions(GString *text)
{
    g_autofree char *os = g_get_os_info(G_OS_INFO_KEY_PRETTY_NAME);
    g_string_append_printf(text, "Hearth %s\n", HEARTH_VERSION);
    g_string_append_printf(text, "GTK %u.%u.%u, libadwaita %u.%u.%u, GLib %u.%u.%u%s%s\n",
                           gtk_get_major_version(), gtk_get_minor_version(),
                           gtk_get_micro_version(), adw_get_major_version(),
                           adw_get_minor_version(), adw_get_micro_version(), glib_major_version,
                           glib_minor_version, glib_micro_version, os ? ", " : "", os ? os : "");
}

static void add_host(GString *text, const HearthHost *host)
{
    g_string_append_c(text, '\n');
    if (!host || host->error) {
        add(text, _("Hardware"), host ? host->error : _("Unknown"));
        return;
    }
    g_autoptr(GPtrArray) lines = hearth_host_lines_new(host);
    for (guint i = 0; i < lines->len; i++) {
        HearthHostLine *line = lines->pdata[i];
        add(text, line->name, line->value);
    }
}

static void add_bytes(GString *text, const uint64_t bytes[HEARTH_N_DEVICES], const char *kind)
{
    g_autofree char *dram = hearth_amount_bytes(bytes[HEARTH_DEVICE_DRAM]);
    g_autofree char *vram = hearth_amount_bytes(bytes[HEARTH_DEVICE_VRAM]);
    g_autofree char *disk = hearth_amount_bytes(bytes[HEARTH_DEVICE_DISK]);
    g_string_append_printf(text, "  %s: %s DRAM, %s VRAM", kind, dram, vram);
    if (bytes[HEARTH_DEVICE_DISK]) g_string_append_printf(text, ", %s disk", disk);
    g_string_append_c(text, '\n');
}

static void add_model(GString *text, HearthWorker *worker)
{
    const HearthModelInfo *info = worker ? hearth_worker_get_info(worker) : NULL;
    g_string_append_c(text, '\n');
    if (!info) {
        add(text, _("Model"), _("None"));
        return;
    }
    g_autofree char *name = hearth_model_name_of_info(info);
    g_autofree char *parameters = hearth_amount_parameters(info->parameters);
    g_autofree char *active = hearth_amount_parameters(info->active_parameters);
    g_autofree char *file = info->path && *info->path ? g_path_get_basename(info->path) : NULL;
    add(text, _("Model"), name);
    if (file) add(text, _("File"), file);
    if (info->arch) add(text, _("Family"), info->arch);
    g_string_append_printf(text, _("%s parameters, %s active"), parameters, active);
    g_string_append_c(text, '\n');
    g_string_append_printf(text, ngettext("%d thread", "%d threads", (gulong)info->threads),
                           info->threads);
    g_string_append_c(text, '\n');
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) {
        const uint64_t *bytes = info->bytes[kind];
        if (bytes[HEARTH_DEVICE_DRAM] || bytes[HEARTH_DEVICE_VRAM] || bytes[HEARTH_DEVICE_DISK])
            add_bytes(text, bytes, hearth_residency_kind_name(kind));
    }
    g_autofree char *forecast = hearth_forecast_text(worker);
    g_string_append(text, forecast);
}

static void add_moment(GString *text, const HearthSample *sample)
{
    if (!sample->time) return;
    g_autofree char *dram = hearth_amount_bytes_of(
        sample->dram_total - MIN(sample->dram_available, sample->dram_total), sample->dram_total);
    g_autofree char *process = hearth_amount_bytes(sample->process);
    g_autofree char *rate = hearth_amount_rate(sample->rate);
    g_autofree char *context = hearth_amount_count_of(sample->context_used, sample->context_size);
    g_string_append_c(text, '\n');
    add(text, _("DRAM in Use"), dram);
    add(text, _("Hearth’s Memory"), process);
    if (sample->vram_total) {
        g_autofree char *vram = hearth_amount_bytes_of(
            sample->vram_total - MIN(sample->vram_available, sample->vram_total),
            sample->vram_total);
        add(text, _("VRAM in Use"), vram);
    }
    add(text, _("Speed"), rate);
    add(text, _("Context"), context);
}

char *hearth_report_new(const HearthHost *host, HearthWorker *worker, const HearthSample *sample)
{
    GString *text = g_string_new(NULL);
    add_versions(text);
    add_host(text, host);
    add_model(text, worker);
    add_moment(text, sample);
    return g_string_free(text, FALSE);
}
