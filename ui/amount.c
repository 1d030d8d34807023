#include "amount.h"

#include <glib/gi18n-lib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

char *hearth_amount_bytes(uint64_t bytes)
{
    return g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS);
}

char *hearth_amount_bytes_of(uint64_t part, uint64_t whole)
{
    const GFormatSizeFlags unit = G_FORMAT_SIZE_IEC_UNITS | G_FORMAT_SIZE_ONLY_UNIT;
    g_autofree char *whole_text = hearth_amount_bytes(whole);
    g_autofree char *part_unit = g_format_size_full(part, unit);
    g_autofree char *whole_unit = g_format_size_full(whole, unit);
    /* The unit once when it is the same for both: there is little room beside a bar. */
    g_autofree char *part_text =
        strcmp(part_unit, whole_unit) == 0
            ? g_format_size_full(part, G_FORMAT_SIZE_IEC_UNITS | G_FORMAT_SIZE_ONLY_VALUE)
            : hearth_amount_bytes(part);
    /* Translators: an amount of memory and the whole of it: "12.3 of 15.6 GiB" */
    return g_strdup_printf(C_("memory", "%s of %s"), part_text, whole_text);
}

char *hearth_amount_speed(double bytes_per_second)
{
    g_autofree char *bytes = hearth_amount_bytes((uint64_t)fmax(bytes_per_second, 0));
    /* Translators: bytes per second: "850.0 MiB/s" */
    return g_strdup_printf(_("%s/s"), bytes);
}

char *hearth_amount_rate(double tokens_per_second)
{
    g_autofree char *number = tokens_per_second < 99.95
                                  ? hearth_amount_decimal(tokens_per_second)
                                  : hearth_amount_count((gint64)(tokens_per_second + 0.5));
    /* Translators: tokens per second */
    return g_strdup_printf(_("%s tok/s"), number);
}

/* LC_NUMERIC is "C" for the sake of the engine (main.c): printf knows neither separator nor point,
 * the translations do. */
char *hearth_amount_decimal(double n)
{
    char digits[32];
    g_ascii_formatd(digits, sizeof(digits), "%.1f", n);
    char *point = strchr(digits, '.');
    if (!point) return g_strdup(digits);
    *point = '\0';
    /* Translators: what stands before tenths, as in 9.8 */
    return g_strconcat(digits, C_("decimal point", "."), point + 1, NULL);
}

char *hearth_amount_count(gint64 n)
{
    g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)(n < 0 ? -n : n));
    size_t len = strlen(digits);
    GString *text = g_string_new(n < 0 ? "-" : "");
    for (size_t i = 0; i < len; i++) {
        /* Translators: what stands between groups of three digits; "," in English */
        if (i && (len - i) % 3 == 0) g_string_append(text, C_("thousands", ","));
        g_string_append_c(text, digits[i]);
    }
    return g_string_free(text, FALSE);
}

char *hearth_amount_count_of(gint64 part, gint64 whole)
{
    g_autofree char *part_text = hearth_amount_count(part);
    g_autofree char *whole_text = hearth_amount_count(whole);
    /* Translators: tokens in use and how many there is room for: "512 of 4,096" */
    return g_strdup_printf(C_("tokens", "%s of %s"), part_text, whole_text);
}

char *hearth_amount_tokens(gint64 n)
{
    g_autofree char *count = hearth_amount_count(n);
    return g_strdup_printf(ngettext("%s token", "%s tokens", (gulong)n), count);
}

char *hearth_amount_parameters(uint64_t n)
{
    if (n < 1000) return hearth_amount_count((gint64)n);
    double x = (double)n / (n >= 999950000 ? 1e9 : n >= 999950 ? 1e6 : 1e3);
    bool whole = x >= 99.95 || fabs(x - round(x)) < 0.05;
    g_autofree char *text = whole ? g_strdup_printf("%.0f", x) : hearth_amount_decimal(x);
    /* Translators: thousands, millions and billions of a model's parameters, as in its name */
    return g_strdup_printf(n >= 999950000 ? _("%sB") : n >= 999950 ? _("%sM") : _("%sK"), text);
}

char *hearth_amount_seconds_left(double seconds)
{
    if (!(seconds >= 0) || seconds > 1e8) return NULL;
    gulong n = (gulong)ceil(seconds);
    if (n < 60) return g_strdup_printf(ngettext("%lu second left", "%lu seconds left", n), n);
    n = (n + 30) / 60;
    if (n < 120) return g_strdup_printf(ngettext("%lu minute left", "%lu minutes left", n), n);
    n = (n + 30) / 60;
    return g_strdup_printf(ngettext("%lu hour left", "%lu hours left", n), n);
}

char *hearth_amount_duration(double seconds)
{
    gulong n = (gulong)fmax(ceil(fmin(seconds, 1e8)), 1);
    if (n < 60) return g_strdup_printf(ngettext("%lu second", "%lu seconds", n), n);
    n = (n + 30) / 60;
    if (n < 120) return g_strdup_printf(ngettext("%lu minute", "%lu minutes", n), n);
    n = (n + 30) / 60;
    return g_strdup_printf(ngettext("%lu hour", "%lu hours", n), n);
}

/* Two digits: more would promise too much. */
char *hearth_amount_rough_rate(double tokens_per_second)
{
    if (tokens_per_second < 9.95) return hearth_amount_decimal(tokens_per_second);
    double unit = pow(10, floor(log10(tokens_per_second)) - 1);
    return hearth_amount_count((gint64)llround(round(tokens_per_second / unit) * unit));
}
