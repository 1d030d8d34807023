#include "error.h"

G_DEFINE_QUARK(hearth - error - quark, hearth_error)

bool hearth_error(GError **error, HearthError code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    g_autofree char *message = g_strdup_vprintf(fmt, args);
    va_end(args);
    g_set_error_literal(error, HEARTH_ERROR, code, message);
    return false;
}
