/* All conversations: a GListModel of HearthConversation, the one updated last first (pinned or not:
 * sections are the view's business), with folders, personas, search, export and import over the
 * store. Main thread only. */
#ifndef HEARTH_CHAT_HISTORY_H
#define HEARTH_CHAT_HISTORY_H

#include "chat/conversation.h"

#define HEARTH_TYPE_HISTORY (hearth_history_get_type())
G_DECLARE_FINAL_TYPE(HearthHistory, hearth_history, HEARTH, HISTORY, GObject)

#define HEARTH_TYPE_FOLDER (hearth_folder_get_type())
G_DECLARE_FINAL_TYPE(HearthFolder, hearth_folder, HEARTH, FOLDER, GObject)
#define HEARTH_TYPE_PERSONA (hearth_persona_get_type())
G_DECLARE_FINAL_TYPE(HearthPersona, hearth_persona, HEARTH, PERSONA, GObject)

/* Property "ready" (boolean): the list has been read. Signal "failed" (const char
 * *sentence): it cannot be read, or not again; NULL: it could after all. */

gint64 hearth_folder_get_id(HearthFolder *folder);
const char *hearth_folder_get_name(HearthFolder *folder); /* property "name" */
gint64 hearth_persona_get_id(HearthPersona *persona);
const char *hearth_persona_get_name(HearthPersona *persona);   /* property "name" */
const char *hearth_persona_get_prompt(HearthPersona *persona); /* property "prompt" */

bool hearth_history_is_ready(HearthHistory *history);
GListModel *hearth_history_get_folders(HearthHistory *history);  /* of HearthFolder, by name */
GListModel *hearth_history_get_personas(HearthHistory *history); /* of HearthPersona, by name */

/* A new conversation: at the head of the list once it has something in it; before that the same one
 * is returned again (in `folder`, 0 = none). Borrowed. */
HearthConversation *hearth_history_new_conversation(HearthHistory *history, gint64 folder);
HearthConversation *hearth_history_find(HearthHistory *history, gint64 id); /* borrowed, or NULL */

/* Takes it out of the list (stopping its answer); restore puts it back as it was. */
void hearth_history_delete(HearthHistory *history, HearthConversation *conversation);
void hearth_history_restore(HearthHistory *history, HearthConversation *conversation);

HearthFolder *hearth_history_add_folder(HearthHistory *history, const char *name); /* borrowed */
void hearth_history_rename_folder(HearthHistory *history, HearthFolder *folder, const char *name);
/* Its conversations move out of it. */
void hearth_history_delete_folder(HearthHistory *history, HearthFolder *folder);
void hearth_history_restore_folder(HearthHistory *history, HearthFolder *folder);

HearthPersona *hearth_history_add_persona(HearthHistory *history, const char *name,
                                          const char *prompt); /* borrowed */
void hearth_history_change_persona(HearthHistory *history, HearthPersona *persona, const char *name,
                                   const char *prompt);
void hearth_history_delete_persona(HearthHistory *history, HearthPersona *persona);
void hearth_history_restore_persona(HearthHistory *history, HearthPersona *persona);

/* GPtrArray of at most `limit` HearthHit, newest first; a new search cancels the one before. */
void hearth_history_search_async(HearthHistory *history, const char *text, guint limit,
                                 GCancellable *cancellable, GAsyncReadyCallback done, void *data);
GPtrArray *hearth_history_search_finish(HearthHistory *history, GAsyncResult *result,
                                        GError **error);

/* `conversation` NULL = all. `json`: everything, importable; else Markdown of what is shown. */
void hearth_history_export_async(HearthHistory *history, HearthConversation *conversation,
                                 bool json, GFile *file, GAsyncReadyCallback done, void *data);
bool hearth_history_export_finish(HearthHistory *history, GAsyncResult *result, GError **error);
void hearth_history_import_async(HearthHistory *history, GFile *file, GAsyncReadyCallback done,
                                 void *data);
/* *ret_left_out: a sentence about conversations that could not be taken, or NULL; g_free(). */
bool hearth_history_import_finish(HearthHistory *history, GAsyncResult *result, guint *ret_n,
                                  char **ret_left_out, GError **error);

#endif
