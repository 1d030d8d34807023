/* The program without its windows: settings, history, worker and gauges, made in the right order
 * and closed in the right order. One per process; main thread only.
 *
 * Threads: main (all of app/'s objects and ui/), the engine's worker, its pool, the store's. */
#ifndef HEARTH_APP_H
#define HEARTH_APP_H

#include "chat/history.h"
#include "telemetry.h"
#include "worker/worker.h"

#define HEARTH_TYPE_APP (hearth_app_get_type())
G_DECLARE_FINAL_TYPE(HearthApp, hearth_app, HEARTH, APP, GObject)

#define HEARTH_APP_ID "io.github.hearth_ai.Hearth"

/* Signals:
 *   "notice" (const char *sentence)   something to tell once: a database set aside, a model that
 *                                     is not loaded again after an unclean end
 *   "trouble" (const char *sentence)  history cannot be written at the moment; NULL: it can again
 *   "refused" (const char *sentence)  history cannot be opened or read; NULL: it could after all
 */

/* Reads the settings, opens the store, starts the worker; the history fills in a moment. NULL: the
 * settings schema is not installed, or another process works in the data folder. */
HearthApp *hearth_app_new(GError **error);

/* Loads the model that was used last, unless the program ended uncleanly while loading it: then the
 * built-in one, with a notice. `path`: this one instead, or NULL. */
void hearth_app_start_model(HearthApp *app, const char *path);

/* Loads a model, remembers it as the last and in the recent ones. NULL or "" = built in. */
void hearth_app_open_model(HearthApp *app, const char *path);

/* The last "refused"; and trying again to open or read the history after it. */
const char *hearth_app_get_refusal(HearthApp *app);
void hearth_app_try_again(HearthApp *app);

/* Stops and saves all. Blocks: the end of the program. Idempotent. */
void hearth_app_close(HearthApp *app);

/* Borrowed. */
GSettings *hearth_app_get_settings(HearthApp *app);      /* schema io.github.hearth_ai.Hearth */
GSettings *hearth_app_get_chat_settings(HearthApp *app); /* schema ….Chat: the defaults */
HearthHistory *hearth_app_get_history(HearthApp *app);
HearthWorker *hearth_app_get_worker(HearthApp *app);
HearthTelemetry *hearth_app_get_telemetry(HearthApp *app);

#endif
