/* The line below a conversation that was found: its Markdown read, the hits in bold. */
#ifndef HEARTH_WINDOW_EXCERPT_H
#define HEARTH_WINDOW_EXCERPT_H

/* Pango markup of HearthHit's excerpt. One whose hits no reader sees (they stand in the address of
 * a link) is `otherwise`. g_free() */
char *hearth_excerpt_markup(const char *excerpt, const char *otherwise);

#endif
