#include "number.h"

#include <glib/gi18n-lib.h>
#include <string.h>

char *hearth_number(gint64 n)
{
    char digits[24];
    g_snprintf(digits, sizeof(digits), "%" G_GINT64_FORMAT, ABS(n));
    /* Translators: what stands between thousands, as in 1,204 */
    const char *separator = C_("thousands", ",");
    GString *text = g_string_new(n < 0 ? "-" : NULL);
    size_t len = strlen(digits);
    for (size_t i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) g_string_append(text, separator);
        g_string_append_c(text, digits[i]);
    }
    return g_string_free(text, FALSE);
}

char *hearth_number_decimal(double n)
{
    char digits[32];
    g_ascii_formatd(digits, sizeof(digits), "%.1f", n);
    char *point = strchr(digits, '.');
    if (!point) return g_strdup(digits);
    *point = '\0';
    /* Translators: what stands before tenths, as in 9.8 */
    return g_strconcat(digits, C_("decimal point", "."), point + 1, NULL);
}
