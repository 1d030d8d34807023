/* One row of the sidebar: a heading, a folder, a conversation, or a conversation that was found.
 * Plain data of the list (sections.h, search.h) that made it; no widgets. */
#ifndef HEARTH_WINDOW_ITEM_H
#define HEARTH_WINDOW_ITEM_H

#include "chat/history.h"

typedef enum {
    HEARTH_ITEM_HEADING,
    HEARTH_ITEM_FOLDER,
    HEARTH_ITEM_CONVERSATION,
    HEARTH_ITEM_HIT
} HearthItemKind;

#define HEARTH_TYPE_ITEM (hearth_item_get_type())
G_DECLARE_FINAL_TYPE(HearthItem, hearth_item, HEARTH, ITEM, GObject)

/* Properties to listen to, both of folders: "count" (uint: conversations in it), "expanded". */

HearthItem *hearth_item_new_heading(const char *text);
HearthItem *hearth_item_new_folder(HearthFolder *folder);
/* `inside`: listed below its folder. */
HearthItem *hearth_item_new_conversation(HearthConversation *conversation, bool inside);
HearthItem *hearth_item_new_hit(HearthConversation *conversation, const HearthHit *hit);

void hearth_item_set_count(HearthItem *item, guint count);
void hearth_item_set_expanded(HearthItem *item, bool expanded);

/* Borrowed; NULL (0, false) where the kind has none. */
HearthItemKind hearth_item_get_kind(HearthItem *item);
const char *hearth_item_get_text(HearthItem *item);    /* heading; hit: title with hits in <b> */
const char *hearth_item_get_snippet(HearthItem *item); /* hit: markup, or "" */
const char *hearth_item_get_excerpt(HearthItem *item); /* hit: as HearthHit has it */
gint64 hearth_item_get_message(HearthItem *item);      /* hit */
HearthFolder *hearth_item_get_folder(HearthItem *item);
HearthConversation *hearth_item_get_conversation(HearthItem *item);
guint hearth_item_get_count(HearthItem *item);
bool hearth_item_get_expanded(HearthItem *item);
bool hearth_item_is_inside(HearthItem *item);

#endif
