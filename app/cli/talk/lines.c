#include "cli/talk/lines.h"

#include <stdio.h>
#include <string.h>

#include <glib.h>

#include "cli/base/console.h"

/* Waits until something was typed; false when Ctrl-C was pressed. A plain read could miss one that
 * comes just before it begins, so this looks again five times a second. */
static bool wait_for_input(void)
{
#ifdef G_OS_UNIX
    GPollFD input = {.fd = 0, .events = G_IO_IN};
    while (!hearth_console_interrupted())
        if (g_poll(&input, 1, 200) > 0) return true;
    return false;
#else
    return true; /* there, Ctrl-C ends the read */
#endif
}

#ifdef HEARTH_HAVE_LIBEDIT

#include <histedit.h>
#include <wchar.h>

enum { KEPT = 1000 }; /* lines of history */

struct HearthLines {
    EditLine *edit;
    History *history;
    char *path;
    const char *prompt;
};

static char *current_prompt(EditLine *edit)
{
    HearthLines *lines;
    el_get(edit, EL_CLIENTDATA, &lines);
    return (char *)lines->prompt;
}

/* One character: 1, 0 at the end, -1 when Ctrl-C was pressed. */
static int read_character(EditLine *edit, wchar_t *ret)
{
    (void)edit;
    if (!wait_for_input()) return -1;
    mbstate_t state = {0};
    for (;;) {
        int c = getc(stdin);
        if (c == EOF) return 0;
        char byte = (char)c;
        size_t used = mbrtowc(ret, &byte, 1, &state);
        if (used == (size_t)-1) *ret = 0xfffd;
        if (used != (size_t)-2) return 1;
    }
}

HearthLines *hearth_lines_new(const char *history_path)
{
    HearthLines *lines = g_new0(HearthLines, 1);
    HistEvent event;
    setvbuf(stdin, NULL, _IONBF, 0); /* what is readable shall show in the descriptor */
    lines->path = g_strdup(history_path);
    lines->prompt = "";
    lines->history = history_init();
    history(lines->history, &event, H_SETSIZE, KEPT);
    history(lines->history, &event, H_SETUNIQUE, 1);
    history(lines->history, &event, H_LOAD, history_path);
    lines->edit = el_init("hearth-cli", stdin, stdout, stderr);
    el_set(lines->edit, EL_CLIENTDATA, lines);
    el_set(lines->edit, EL_PROMPT, current_prompt);
    el_set(lines->edit, EL_HIST, history, lines->history);
    el_set(lines->edit, EL_SIGNAL, 1); /* its own handlers while it reads, which pass on to ours */
    el_set(lines->edit, EL_GETCFN, read_character);
    el_set(lines->edit, EL_EDITOR, "emacs");
    el_set(lines->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(lines->edit, NULL); /* the person's own ~/.editrc */
    return lines;
}

void hearth_lines_free(HearthLines *lines)
{
    if (!lines) return;
    el_end(lines->edit);
    history_end(lines->history);
    g_free(lines->path);
    g_free(lines);
}

HearthLinesResult hearth_lines_read(HearthLines *lines, const char *prompt, char **ret_line)
{
    int len = 0;
    lines->prompt = prompt;
    /* Before the prompt shows: what is typed at it must meet the editor, and Ctrl-D not the terminal's
     * own idea of an end. */
    el_set(lines->edit, EL_PREP_TERM, 1);
    const char *line = el_gets(lines->edit, &len);
    if (!line || len <= 0) {
        bool interrupt = hearth_console_take_interrupt();
        el_reset(lines->edit);
        return interrupt ? HEARTH_LINES_INTERRUPT : HEARTH_LINES_END;
    }
    *ret_line = g_strchomp(g_strndup(line, (gsize)len));
    return HEARTH_LINES_TEXT;
}

void hearth_lines_remember(HearthLines *lines, const char *line)
{
    HistEvent event;
    history(lines->history, &event, H_ENTER, line);
    history(lines->history, &event, H_SAVE, lines->path);
}

#else

struct HearthLines {
    GString *line;
};

HearthLines *hearth_lines_new(const char *history_path)
{
    (void)history_path;
    HearthLines *lines = g_new0(HearthLines, 1);
    lines->line = g_string_new(NULL);
    setvbuf(stdin, NULL, _IONBF, 0); /* what is readable shall show in the descriptor */
    return lines;
}

void hearth_lines_free(HearthLines *lines)
{
    if (!lines) return;
    g_string_free(lines->line, TRUE);
    g_free(lines);
}

HearthLinesResult hearth_lines_read(HearthLines *lines, const char *prompt, char **ret_line)
{
    int c = EOF;
    fputs(prompt, stdout);
    fflush(stdout);
    g_string_truncate(lines->line, 0);
    if (wait_for_input())
        while ((c = getc(stdin)) != EOF && c != '\n') g_string_append_c(lines->line, (char)c);
    if (c == EOF) {
        clearerr(stdin);
        if (hearth_console_take_interrupt()) return HEARTH_LINES_INTERRUPT;
        if (lines->line->len == 0) return HEARTH_LINES_END;
    }
    *ret_line = g_strdup(lines->line->str);
    return HEARTH_LINES_TEXT;
}

void hearth_lines_remember(HearthLines *lines, const char *line)
{
    (void)lines;
    (void)line;
}

#endif
