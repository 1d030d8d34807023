/* Found text as one line of Pango markup, with the words that were searched for in bold. */
#ifndef HEARTH_SNIPPET_H
#define HEARTH_SNIPPET_H

#include "store/search/words.h"

/* All of a title; words that do not stand in it do not matter. g_free() */
char *hearth_snippet_title(HearthWords *words, const char *title);

/* The part of a text with the most of the words, and its surroundings (HearthHit). NULL: not every
 * word stands in it (the index is behind the text). g_free() both. */
char *hearth_snippet_line(HearthWords *words, const char *text, char **ret_excerpt);

#endif
