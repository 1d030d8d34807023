#include "cli/base/console.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t interrupted;
static bool progress_shown;
static gint64 progress_time; /* of the last rewrite, µs */

void hearth_console_init(void)
{
#ifdef SIGPIPE
    signal(SIGPIPE, SIG_IGN);
#endif
}

bool hearth_console_is_terminal(HearthConsoleStream stream)
{
    /* Despite its name this asks whether the descriptor is a terminal, on every system. */
    return g_log_writer_supports_color((int)stream);
}

static bool has_colour(void)
{
    const char *no_color = g_getenv("NO_COLOR");
    return hearth_console_is_terminal(HEARTH_CONSOLE_OUT) && !(no_color && *no_color) &&
           g_strcmp0(g_getenv("TERM"), "dumb") != 0;
}

const char *hearth_console_dim(void) { return has_colour() ? "\033[2m" : ""; }

const char *hearth_console_normal(void) { return has_colour() ? "\033[0m" : ""; }

char *hearth_console_clean(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *out = g_string_sized_new(strlen(valid));
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7f && c < 0xa0);
        g_string_append_unichar(out, control ? 0xfffd : c);
    }
    return g_string_free(out, FALSE);
}

void hearth_console_complain(const char *message)
{
    g_autofree char *clean = hearth_console_clean(message);
    hearth_console_progress_done();
    fprintf(stderr, "hearth-cli: %s\n", clean);
}

void hearth_console_progress(const char *fmt, ...)
{
    gint64 now = g_get_monotonic_time();
    if (!hearth_console_is_terminal(HEARTH_CONSOLE_ERR)) return;
    if (progress_shown && now - progress_time < G_USEC_PER_SEC / 10) return;
    va_list args;
    va_start(args, fmt);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fflush(stderr);
    progress_shown = true;
    progress_time = now;
}

void hearth_console_progress_done(void)
{
    if (!progress_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress_shown = false;
}

static void on_interrupt(int number)
{
    if (interrupted) {
        signal(number, SIG_DFL);
        raise(number);
    }
    interrupted = 1;
}

void hearth_console_catch_interrupts(void) { signal(SIGINT, on_interrupt); }

bool hearth_console_interrupted(void) { return interrupted; }

bool hearth_console_take_interrupt(void)
{
    bool was = interrupted;
    interrupted = 0;
#ifdef G_OS_WIN32
    if (was) signal(SIGINT, on_interrupt); /* delivery has put the default back */
#endif
    return was;
}
