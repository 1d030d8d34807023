/* The history as the sidebar lists it: a flat GListModel of HearthItem with headings and folders
 * among the conversations.
 *
 *   Pinned                       pinned ones, wherever they are filed
 *   folders, by name             the conversations of an expanded one below it
 *   Today, Yesterday, Previous 7 Days, Previous 30 Days, months, months of other years
 *
 * Follows the history, its folders, each conversation and midnight. Changes of one turn of the main
 * loop are taken together, and reported as few rows as possible: the row of a conversation stays
 * the same object, so that selection, focus and scroll position stay. No widgets. */
#ifndef HEARTH_WINDOW_SECTIONS_H
#define HEARTH_WINDOW_SECTIONS_H

#include "window/sidebar/item.h"

#define HEARTH_TYPE_SECTIONS (hearth_sections_get_type())
G_DECLARE_FINAL_TYPE(HearthSections, hearth_sections, HEARTH, SECTIONS, GObject)

/* `conversations`: of HearthConversation, updated last first; `folders`: of HearthFolder. */
HearthSections *hearth_sections_new(GListModel *conversations, GListModel *folders);

/* Takes in what has changed, now instead of in the next turn of the main loop. */
void hearth_sections_refresh(HearthSections *sections);

/* For tests: the time by which the sections go (µs since 1970); 0 = the clock. */
void hearth_sections_set_now(HearthSections *sections, gint64 now);

void hearth_sections_set_expanded(HearthSections *sections, HearthFolder *folder, bool expanded);

/* All of it, as an array of ids ("ax"), which outlives the program: of folders that are there
 * (floating); and from such an array, also before the folders come. */
GVariant *hearth_sections_get_open(HearthSections *sections);
void hearth_sections_set_open(HearthSections *sections, GVariant *ids);

/* Where it is, or GTK's "nowhere" (G_MAXUINT) when its folder is folded. */
guint hearth_sections_find(HearthSections *sections, HearthConversation *conversation);

/* The next (+1) or previous (-1) conversation in the list; the first one when `conversation` is not
 * in it; NULL at the ends. Borrowed. */
HearthConversation *hearth_sections_step(HearthSections *sections, HearthConversation *conversation,
                                         int by);

#endif
