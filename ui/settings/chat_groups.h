/* The settings of conversations as groups of rows, from one table: over the program's defaults in
 * the preferences, over a conversation's own in its options. */
#ifndef HEARTH_CHAT_GROUPS_H
#define HEARTH_CHAT_GROUPS_H

#include <adwaita.h>

#include "app.h"

typedef enum {
    HEARTH_GROUP_ANSWERS,
    HEARTH_GROUP_MEMORY,
    HEARTH_GROUP_SAMPLING,
    HEARTH_GROUP_REPETITION
} HearthChatGroup;

/* An AdwPreferencesGroup. `defaults`: what `own` follows; NULL = the schema. */
GtkWidget *hearth_chat_groups_new(HearthApp *app, HearthChatGroup which, GSettings *own,
                                  GSettings *defaults);

#endif
