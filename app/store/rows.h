/* Rows as the store's callers see them: plain data, copied in and copied out.
 *
 * Ids are unique over all tables of a database and are handed out by hearth_store_new_id() without
 * asking the database, so that a row has its id before it is written. Times are microseconds since
 * 1970 (g_get_real_time). Strings are UTF-8, NULL = "". */
#ifndef HEARTH_STORE_ROWS_H
#define HEARTH_STORE_ROWS_H

#include <glib.h>

#include "state.h"

typedef enum { HEARTH_ROLE_USER = 0, HEARTH_ROLE_ASSISTANT = 1 } HearthRole;

typedef struct {
    gint64 id;
    char *title; /* "" until there is a first message */
    bool titled; /* the person named it: no more automatic titles */
    bool pinned;
    gint64 folder; /* 0 = none */
    gint64 created, updated;
    gint64 head;    /* last message of the branch that is shown; 0 = no messages */
    char *draft;    /* typed and not sent */
    char *options;  /* JSON object of this conversation's own settings (key → value); "" = none */
    gint64 persona; /* 0 = none */
    bool unsent;    /* read only: rows of HearthUnsentRow belong to it */
} HearthConversationRow;

/* Messages form a tree: `parent` is the message before (0 = the first one). Messages with the same
 * parent are versions of each other, in the order of their ids. */
typedef struct {
    gint64 id, conversation, parent;
    HearthRole role;
    HearthState state;
    char *content, *thinking;
    char *model; /* name of the model that wrote it */
    char *error; /* of HEARTH_STATE_FAILED and _CONTEXT_FULL: the sentence to show */
    gint64 created;
    HearthStats stats;
} HearthMessageRow;

/* What waits to be sent beside the draft: a file that is attached to it, or the text of a message
 * that is being edited. */
typedef struct {
    gint64 id, conversation;
    gint64 message; /* the one that is edited; 0: a file */
    char *name;     /* of the file */
    char *content;
} HearthUnsentRow;

typedef struct {
    gint64 id;
    char *name;
} HearthFolderRow;

typedef struct {
    gint64 id;
    char *name, *prompt; /* prompt: the system message */
} HearthPersonaRow;

/* One conversation that was found. */
typedef struct {
    gint64 conversation;
    gint64 message; /* the newest message that matches; 0 = the title alone does */
    char *title;    /* Pango markup, hits in <b> */
    char *snippet;  /* Pango markup of the text around the hit, one line, or "" */
    char *excerpt;  /* the same text as it was written, lines and all, hits between these: */
} HearthHit;
#define HEARTH_HIT_BEGIN "\xef\xa3\xb0" /* U+F8F0 and U+F8F1: letters to a reader of Markdown, */
#define HEARTH_HIT_END "\xef\xa3\xb1"   /* and nowhere else in an excerpt */

/* A title or name as it is kept and shown, whoever wrote it: one line of at most HEARTH_NAME_MOST
 * characters, without control characters and without blanks at its ends. NULL is "". g_free() */
#define HEARTH_NAME_MOST 200
char *hearth_name_clean(const char *text);

HearthConversationRow *hearth_conversation_row_copy(const HearthConversationRow *row);
void hearth_conversation_row_free(HearthConversationRow *row);
HearthMessageRow *hearth_message_row_copy(const HearthMessageRow *row);
void hearth_message_row_free(HearthMessageRow *row);
HearthUnsentRow *hearth_unsent_row_copy(const HearthUnsentRow *row);
void hearth_unsent_row_free(HearthUnsentRow *row);
HearthFolderRow *hearth_folder_row_copy(const HearthFolderRow *row);
void hearth_folder_row_free(HearthFolderRow *row);
HearthPersonaRow *hearth_persona_row_copy(const HearthPersonaRow *row);
void hearth_persona_row_free(HearthPersonaRow *row);
void hearth_hit_free(HearthHit *hit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthConversationRow, hearth_conversation_row_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthMessageRow, hearth_message_row_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthUnsentRow, hearth_unsent_row_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthFolderRow, hearth_folder_row_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthPersonaRow, hearth_persona_row_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthHit, hearth_hit_free)

#endif
