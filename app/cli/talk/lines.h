/* Lines typed at a prompt: with editing and a history kept between sessions where libedit was there
 * at build time, plainly otherwise. */
#ifndef HEARTH_CLI_TALK_LINES_H
#define HEARTH_CLI_TALK_LINES_H

typedef struct HearthLines HearthLines;

typedef enum { HEARTH_LINES_TEXT, HEARTH_LINES_INTERRUPT, HEARTH_LINES_END } HearthLinesResult;

/* `history_path`: where the history lives; it is made when missing. */
HearthLines *hearth_lines_new(const char *history_path);
void hearth_lines_free(HearthLines *lines);

/* One line without its newline, g_free(). INTERRUPT (Ctrl-C) and END (Ctrl-D) give none. */
HearthLinesResult hearth_lines_read(HearthLines *lines, const char *prompt, char **ret_line);

/* Adds to the history, and saves it. */
void hearth_lines_remember(HearthLines *lines, const char *line);

#endif
