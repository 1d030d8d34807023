#include "cli/gauge.h"
#include "cli/base/console.h"
#include "cli/base/io.h"
#include "engine.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngGauge, eng_gauge_free)

static bool print_json(EngGauge *gauge, GError **error)
{
    EngLimits limits = eng_gauge_limits(gauge);
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    json_builder_set_member_name(out, "limits");
    json_builder_begin_object(out);
    hearth_io_json_int(out, "threads", (uint64_t)limits.threads);
    hearth_io_json_real(out, "read_gb_s", limits.read_gb_s);
    hearth_io_json_real(out, "int8_gop_s", limits.int8_gop_s);
    hearth_io_json_real(out, "barrier_us", limits.barrier_us);
    json_builder_end_object(out);
    json_builder_set_member_name(out, "rows");
    json_builder_begin_array(out);
    EngKernelSpeed speed;
    for (int i = 0; eng_gauge_kernel(gauge, i, &speed); i++) {
        json_builder_begin_object(out);
        hearth_io_json_text(out, "type", speed.type, -1);
        hearth_io_json_text(out, "level", speed.level, -1);
        hearth_io_json_real(out, "decode_gb_s", speed.decode_gb_s);
        hearth_io_json_real(out, "decode_gop_s", speed.decode_gop_s);
        hearth_io_json_real(out, "few_gop_s", speed.few_gop_s);
        hearth_io_json_real(out, "prefill_gop_s", speed.prefill_gop_s);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool print_line(const char *line, GError **error)
{
    hearth_console_progress_done();
    return hearth_io_write(line, strlen(line), error);
}

static bool print_plain(EngGauge *gauge, GError **error)
{
    hearth_console_progress("Measuring what the machine can do");
    EngLimits limits = eng_gauge_limits(gauge);
    g_autofree char *head = g_strdup_printf(
        "Threads     %d\n"
        "Reading     %.1f GB/s\n"
        "Bytes       %.0f Gop/s\n"
        "Barrier     %.1f µs\n\n"
        "%-8s %-7s %21s %19s %19s\n",
        limits.threads, limits.read_gb_s, limits.int8_gop_s, limits.barrier_us, "weights", "kernel",
        "one token, of reading", "16, of bytes", "128, of bytes");
    if (!print_line(head, error)) return false;
    EngKernelSpeed speed;
    for (int i = 0; eng_gauge_kernel(gauge, i, &speed); i++) {
        g_autofree char *line = g_strdup_printf(
            "%-8s %-7s %9.1f GB/s %4.0f %% %7.0f Gop/s %4.0f %% %7.0f Gop/s %4.0f %%\n", speed.type,
            speed.level, speed.decode_gb_s, 100 * speed.decode_gb_s / limits.read_gb_s,
            speed.few_gop_s, 100 * speed.few_gop_s / limits.int8_gop_s, speed.prefill_gop_s,
            100 * speed.prefill_gop_s / limits.int8_gop_s);
        if (!print_line(line, error)) return false;
    }
    return true;
}

bool hearth_gauge_run(int threads, bool json, GError **error)
{
    EngError failure = {0};
    g_autoptr(EngGauge) gauge = eng_gauge_new(threads, &failure);
    if (!gauge) return hearth_error_from_engine(error, &failure);
    return json ? print_json(gauge, error) : print_plain(gauge, error);
}
