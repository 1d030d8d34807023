/* The terminal: what is one, dim text, a rewritten progress line, Ctrl-C.
 *
 * The only escape sequences used: ESC[2m dim, ESC[0m normal, CR ESC[K erase the line. They are
 * written to terminals only; colour keeps quiet with NO_COLOR set or TERM=dumb. */
#ifndef HEARTH_CLI_BASE_CONSOLE_H
#define HEARTH_CLI_BASE_CONSOLE_H

#include <stdbool.h>

#include <glib.h>

/* Before anything else: a closed pipe shall be an error of a write, not the end of the program. */
void hearth_console_init(void);

typedef enum { HEARTH_CONSOLE_IN, HEARTH_CONSOLE_OUT, HEARTH_CONSOLE_ERR } HearthConsoleStream;
bool hearth_console_is_terminal(HearthConsoleStream stream);

/* Escape sequences for stdout, "" where there shall be none. */
const char *hearth_console_dim(void);
const char *hearth_console_normal(void);

/* The text without what would command a terminal (control characters other than newline and tab):
 * models and files are not trusted with it. g_free(). */
char *hearth_console_clean(const char *text);

/* "hearth-cli: MESSAGE" on stderr. */
void hearth_console_complain(const char *message);

/* One line on stderr that replaces itself, at most ten times a second; nothing when stderr is no
 * terminal. */
void hearth_console_progress(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void hearth_console_progress_done(void);

/* From now on Ctrl-C sets a flag. A second one that finds the flag still set ends the program: then
 * something is stuck. */
void hearth_console_catch_interrupts(void);

/* Whether Ctrl-C was pressed since the flag was last taken; to take it lowers it. */
bool hearth_console_interrupted(void);
bool hearth_console_take_interrupt(void);

#endif
