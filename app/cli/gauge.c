#include "cli/gauge.h"
#include "cli/base/console.h"
#include "cli/base/io.h"
#include "engine.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngGauge, eng_gauge_free)

/* How the limits are called, in a table and in JSON. */
static const struct {
    const char *name, *unit, *json;
} bounds[] = {[ENG_BOUND_READ] = {"reading", "GB/s", "read"},
              [ENG_BOUND_INT8] = {"bytes", "Gop/s", "int8"},
              [ENG_BOUND_INT16] = {"16 bits", "Gop/s", "int16"},
              [ENG_BOUND_FLOAT] = {"floats", "Gop/s", "float"}};

static double limit_of(const EngLimits *limits, EngBound bound)
{
    switch (bound) {
    case ENG_BOUND_READ: return limits->read_gb_s;
    case ENG_BOUND_INT8: return limits->int8_gop_s;
    case ENG_BOUND_INT16: return limits->int8_gop_s / 2;
    case ENG_BOUND_FLOAT: return limits->float_gop_s;
    }
    return 0;
}

static void add_parts(JsonBuilder *out, EngGauge *gauge, const EngLimits *limits)
{
    EngPartSpeed part;
    json_builder_set_member_name(out, "parts");
    json_builder_begin_array(out);
    for (int i = 0; eng_gauge_part(gauge, i, &part); i++) {
        json_builder_begin_object(out);
        hearth_io_json_text(out, "kernel", part.name, -1);
        hearth_io_json_text(out, "shape", part.shape, -1);
        hearth_io_json_text(out, "bound", bounds[part.bound].json, -1);
        bool reads = part.bound == ENG_BOUND_READ;
        hearth_io_json_real(out, reads ? "gb_s" : "gop_s", part.speed);
        hearth_io_json_real(out, "of_limit", part.speed / limit_of(limits, part.bound));
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
}

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
    hearth_io_json_real(out, "int16_gop_s", limit_of(&limits, ENG_BOUND_INT16));
    hearth_io_json_real(out, "float_gop_s", limits.float_gop_s);
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
    add_parts(out, gauge, &limits);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool print_line(const char *line, GError **error)
{
    hearth_console_progress_done();
    return hearth_io_write(line, strlen(line), error);
}

static bool print_parts(EngGauge *gauge, const EngLimits *limits, GError **error)
{
    EngPartSpeed part;
    g_autofree char *head =
        g_strdup_printf("\n%-12s %-24s %13s %s\n", "kernel", "shape", "speed", "   of its limit");
    if (!print_line(head, error)) return false;
    for (int i = 0; eng_gauge_part(gauge, i, &part); i++) {
        g_autofree char *line = g_strdup_printf(
            "%-12s %-24s %7.1f %-5s %4.0f %% of %s\n", part.name, part.shape, part.speed,
            bounds[part.bound].unit, 100 * part.speed / limit_of(limits, part.bound),
            bounds[part.bound].name);
        if (!print_line(line, error)) return false;
    }
    return true;
}

static bool print_plain(EngGauge *gauge, GError **error)
{
    hearth_console_progress("Measuring what the machine can do");
    EngLimits limits = eng_gauge_limits(gauge);
    g_autofree char *head = g_strdup_printf(
        "Threads     %d\n"
        "Reading     %.1f GB/s\n"
        "Bytes       %.0f Gop/s\n"
        "Floats      %.0f Gop/s\n"
        "Barrier     %.1f µs\n\n"
        "%-8s %-7s %21s %19s %19s\n",
        limits.threads, limits.read_gb_s, limits.int8_gop_s, limits.float_gop_s, limits.barrier_us,
        "weights", "kernel", "one token, of reading", "16, of bytes", "128, of bytes");
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
    return print_parts(gauge, &limits, error);
}

bool hearth_gauge_run(int threads, bool json, GError **error)
{
    EngError failure = {0};
    g_autoptr(EngGauge) gauge = eng_gauge_new(threads, &failure);
    if (!gauge) return hearth_error_from_engine(error, &failure);
    return json ? print_json(gauge, error) : print_plain(gauge, error);
}
