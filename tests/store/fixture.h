/* What the store's test programs share: a store in a folder of its own, rows in one line, and calls
 * that wait for their answer by turning the main loop. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "store/store.h"

typedef struct {
    char *folder, *path; /* of the database */
    HearthStore *store;
    char *notice;    /* of the last opening, or NULL */
    char *refusal;   /* of the last opening, or NULL */
    guint n_trouble; /* signals with a sentence */
    guint n_well;    /* signals with NULL */
    char *trouble;   /* the last sentence */
} Fixture;

void fixture_init(Fixture *fixture);        /* a new folder, opened */
void fixture_init_memory(Fixture *fixture); /* no file */
void fixture_open(Fixture *fixture);        /* the same path again */
void fixture_try_again(Fixture *fixture);   /* opens the same store again */
void fixture_close(Fixture *fixture);
void fixture_clear(Fixture *fixture); /* with the folder */

/* Each waits for its answer; a minute without one ends the program. */
HearthOverview *fixture_overview(Fixture *fixture);
GPtrArray *fixture_messages(Fixture *fixture, gint64 conversation);
GPtrArray *fixture_unsent(Fixture *fixture, gint64 conversation);
GPtrArray *fixture_search(Fixture *fixture, const char *text, guint limit);
bool fixture_export(Fixture *fixture, gint64 conversation, HearthExportFormat format,
                    const char *path, GError **error);
bool fixture_import(Fixture *fixture, const char *path, guint *ret_n, GError **error);
bool fixture_import_sound(Fixture *fixture, const char *path, guint *ret_n, char **ret_left_out,
                          GError **error);
void fixture_try_everything(Fixture *fixture); /* every read; any of them may fail */
void fixture_wait(Fixture *fixture);           /* until all that is enqueued is written */

/* Put rows; return their ids. */
gint64 fixture_conversation(Fixture *fixture, const char *title);
gint64 fixture_message(Fixture *fixture, gint64 conversation, gint64 parent, HearthRole role,
                       const char *content);
gint64 fixture_folder(Fixture *fixture, const char *name);
gint64 fixture_persona(Fixture *fixture, const char *name, const char *prompt);

gint64 fixture_put_unsent(Fixture *fixture, gint64 conversation, gint64 message, const char *name,
                          const char *content);

HearthConversationRow *find_conversation(HearthOverview *overview, gint64 id); /* borrowed, NULL */
HearthMessageRow *find_message(GPtrArray *messages, gint64 id);                /* borrowed, NULL */

/* Runs SQL in a connection of its own, as another program would. The first column of the first row
 * as text, or NULL; g_free(). */
char *outside(const char *path, const char *sql);

#endif
