#include "error.h"

#include <string.h>

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

/* A word, not the name of a file or a function. */
static bool begins_with_word(const char *text)
{
    const char *at = text;
    while (g_ascii_islower(*at)) at++;
    return at > text && (*at == ' ' || *at == ',' || *at == '\0');
}

char *hearth_sentence(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
    g_strstrip(valid);
    if (begins_with_word(valid)) *valid = g_ascii_toupper(*valid);
    gunichar last = *valid ? g_utf8_get_char(g_utf8_prev_char(valid + strlen(valid))) : '.';
    bool ended = strchr(".!?", (int)MIN(last, 127)) || last == 0x3002 || last == 0x2026;
    return g_strconcat(valid, ended ? "" : ".", NULL);
}
