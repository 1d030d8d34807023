/* The messages of a conversation as a tree, and which branch of it is shown.
 *
 * No objects are told anything here: the conversation compares the branch before and after. Sizes
 * are real ones (10,000 messages in a chain): nothing recurses. Input is whatever the database
 * holds: a missing or looping parent makes a message unreachable, never a crash. */
#ifndef HEARTH_CHAT_TREE_H
#define HEARTH_CHAT_TREE_H

#include "chat/message_private.h"

typedef struct HearthTree HearthTree;

HearthTree *hearth_tree_new(void);
void hearth_tree_free(HearthTree *tree);
void hearth_tree_clear(HearthTree *tree);

/* Takes a reference. Messages may come in any order; siblings are ordered by id. */
void hearth_tree_add(HearthTree *tree, HearthMessage *message);
HearthMessage *hearth_tree_find(HearthTree *tree, gint64 id); /* also a hidden one; or NULL */

/* A hidden message and all below it are not there, until it is shown again. */
void hearth_tree_hide(HearthTree *tree, gint64 id, bool hidden);

/* The branch that goes through `id` (0 = the newest one) down to where it was followed last, else
 * to the newest end: messages from the first to the last, with their versions set. The array holds
 * references. */
GPtrArray *hearth_tree_branch(HearthTree *tree, gint64 id);

/* The sibling `by` places away, or NULL. */
HearthMessage *hearth_tree_sibling(HearthTree *tree, HearthMessage *message, int by);

#endif
