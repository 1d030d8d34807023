/* The words of a search, and where they stand in a text.
 *
 * Words are what FTS5's tokenizer `unicode61 remove_diacritics 2` makes of a text, so that what the
 * index finds and what is marked in bold are the same. Chinese, Japanese and Korean have no spaces
 * to part words at: there a run of characters is a word of any length. The index holds each of its
 * characters and each two that are neighbours (schema.c does that in SQL), a search looks for the
 * pairs, and the text itself is asked whether the whole run stands in it. */
#ifndef HEARTH_WORDS_H
#define HEARTH_WORDS_H

#include "store/db.h"

typedef struct HearthWords HearthWords;

/* Where a word was found: bytes, start included, end excluded; which word. */
typedef struct {
    guint start, end, word;
} HearthSpan;

/* Of what a person typed: any bytes. NULL: there is no word in it. The last word may be unfinished
 * unless something follows it. */
HearthWords *hearth_words_new(HearthDb *db, const char *text);
void hearth_words_free(HearthWords *words);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthWords, hearth_words_free)

/* For MATCH. */
const char *hearth_words_get_match(HearthWords *words);

/* Appends the places, first one first, to `spans` (of HearthSpan, may be NULL). Whether every word
 * stands in the text. */
bool hearth_words_find(HearthWords *words, const char *text, GArray *spans);

/* Whether a character belongs to a script without spaces. The same set as in schema.c. */
bool hearth_words_is_run(gunichar c);

#endif
