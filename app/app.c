#include "app.h"

#include <glib/gi18n.h>

#include "chat/history_private.h"
#include "claim.h"
#include "paths.h"
#include "settings.h"
#include "store/store.h"

#define RECENT 10
#define CLOSE_SECONDS 10

struct _HearthApp {
    GObject parent_instance;
    HearthClaim *claim; /* until all is written; NULL: there can be none */
    GSettings *settings, *chat;
    HearthStore *store;
    HearthWorker *worker;
    HearthHistory *history;
    HearthTelemetry *telemetry;
    char *opening; /* path of the model being loaded, not in the recent ones yet; or NULL */
    guint noting;  /* the file is being told what is opened; the worker has not heard of it */
    char *refusal; /* why the history is not there, or NULL */
    bool unopened; /* the history is in memory for want of its file */
    bool closed;
};

G_DEFINE_FINAL_TYPE(HearthApp, hearth_app, G_TYPE_OBJECT)

static guint notice_signal, trouble_signal, refused_signal;

static void notice(HearthApp *app, const char *sentence)
{
    g_signal_emit(app, notice_signal, 0, sentence);
}

static void trouble(HearthApp *app, const char *sentence)
{
    g_signal_emit(app, trouble_signal, 0, sentence);
}

static void refused(HearthApp *app, const char *sentence)
{
    g_free(app->refusal);
    app->refusal = g_strdup(sentence);
    g_signal_emit(app, refused_signal, 0, sentence);
}

/* ---- models ---------------------------------------------------------------------------------- */

/* A name that is no UTF-8 cannot stand in the settings: such a model is not remembered. */
static bool can_remember(const char *path) { return g_utf8_validate(path, -1, NULL); }

static void set_loading(HearthApp *app, const char *path)
{
    if (!can_remember(path)) path = "";
    g_autofree char *old = g_settings_get_string(app->settings, "loading-model");
    if (g_strcmp0(old, path) != 0) g_settings_set_string(app->settings, "loading-model", path);
}

static void remember(HearthApp *app, const char *path)
{
    if (!can_remember(path)) return;
    g_settings_set_string(app->settings, "last-model", path);
    if (!*path) return;
    g_auto(GStrv) old = g_settings_get_strv(app->settings, "recent-models");
    g_autoptr(GPtrArray) recent = g_ptr_array_new();
    g_ptr_array_add(recent, (char *)path);
    for (char **one = old; *one && recent->len < RECENT; one++)
        if (g_strcmp0(*one, path) != 0) g_ptr_array_add(recent, *one);
    g_ptr_array_add(recent, NULL);
    g_settings_set_strv(app->settings, "recent-models", (const char *const *)recent->pdata);
}

static void model_changed(HearthApp *app)
{
    HearthModelState state = hearth_worker_get_state(app->worker);
    /* While a wish is being noted it is about the model before. */
    if (state == HEARTH_MODEL_LOADING || app->noting) return;
    set_loading(app, "");
    g_autofree char *path = g_steal_pointer(&app->opening);
    if (!path || state != HEARTH_MODEL_READY) return;
    const char *error = hearth_worker_get_error(app->worker);
    if (!error) {
        remember(app, path);
        return;
    }
    /* Translators: a sentence that says why another model cannot be loaded */
    g_autofree char *said = g_strdup_printf(_("%s The model from before is still loaded."), error);
    notice(app, said);
}

static void load(HearthApp *app)
{
    if (app->closed || !app->opening) return;
    g_auto(HearthModelSettings) settings = hearth_model_settings_read(app->settings, app->chat);
    hearth_worker_load(app->worker, app->opening, &settings);
}

static void loading_noted(GObject *settings, GAsyncResult *result, void *data)
{
    (void)settings;
    (void)result;
    g_autoptr(HearthApp) app = data;
    if (--app->noting == 0) load(app);
}

void hearth_app_open_model(HearthApp *app, const char *path)
{
    if (!path) path = "";
    g_free(app->opening);
    app->opening = g_strdup(path);
    set_loading(app, path);
    /* On the disk before the file is touched: should the program die of it, the next start knows.
     */
    if (*path) {
        app->noting++;
        hearth_worker_expect(app->worker, path);
        hearth_settings_save_async(app->settings, loading_noted, g_object_ref(app));
    } else if (!app->noting) {
        load(app);
    }
}

void hearth_app_start_model(HearthApp *app, const char *path)
{
    g_autofree char *broken = g_settings_get_string(app->settings, "loading-model");
    g_autofree char *last = g_settings_get_string(app->settings, "last-model");
    set_loading(app, "");
    if (path) {
        hearth_app_open_model(app, path);
    } else if (*broken) {
        g_autofree char *name = g_path_get_basename(broken);
        g_autofree char *said =
            g_strdup_printf(_("Hearth ended while it was loading %s, so that model is not loaded "
                              "again by itself. Choose it from the model menu to try again."),
                            name);
        notice(app, said);
        hearth_app_open_model(app, NULL);
    } else {
        bool again = g_settings_get_boolean(app->settings, "load-last-model");
        hearth_app_open_model(app, again ? last : NULL);
    }
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void store_opened(GObject *store, GAsyncResult *result, void *data)
{
    g_autoptr(HearthApp) app = data;
    g_autoptr(GError) error = NULL;
    g_autofree char *said = NULL;
    bool opened = hearth_store_open_finish(HEARTH_STORE(store), result, &said, &error);
    if (!opened || app->unopened) refused(app, error ? error->message : NULL);
    app->unopened = !opened;
    if (said) notice(app, said);
    if (!app->closed) hearth_history_load(app->history);
}

static void open_store(HearthApp *app)
{
    hearth_store_open_async(app->store, store_opened, g_object_ref(app));
}

const char *hearth_app_get_refusal(HearthApp *app) { return app->refusal; }

void hearth_app_try_again(HearthApp *app)
{
    if (app->closed) return;
    if (app->unopened)
        open_store(app);
    else
        hearth_history_load(app->history);
}

HearthApp *hearth_app_new(GError **error)
{
    g_autofree char *settings_path = hearth_paths_data_file("settings.ini");
    g_autofree char *history_path = hearth_paths_data_file("history.db");
    g_autofree char *claim_path = hearth_paths_data_file("in-use");
    GSettings *settings, *chat;
    HearthClaim *claim;
    if (!hearth_claim_take(claim_path, &claim, error)) return NULL;
    if (!hearth_settings_open(settings_path, &settings, &chat, error)) {
        hearth_claim_free(claim);
        return NULL;
    }
    HearthApp *app = g_object_new(HEARTH_TYPE_APP, NULL);
    app->claim = claim;
    app->settings = settings;
    app->chat = chat;
    app->store = hearth_store_new(history_path);
    app->worker = hearth_worker_new();
    app->history = hearth_history_new(app->store, app->worker, app->chat);
    app->telemetry = hearth_telemetry_new(app->worker);
    g_signal_connect_swapped(app->worker, "notify::state", G_CALLBACK(model_changed), app);
    g_signal_connect_swapped(app->store, "trouble", G_CALLBACK(trouble), app);
    g_signal_connect_swapped(app->history, "failed", G_CALLBACK(refused), app);
    open_store(app);
    return app;
}

void hearth_app_close(HearthApp *app)
{
    if (app->closed) return;
    app->closed = true;
    hearth_worker_close(app->worker);
    hearth_history_settle(app->history);
    set_loading(app, "");
    hearth_settings_flush(app->settings);
    hearth_store_close(app->store, CLOSE_SECONDS);
    g_clear_pointer(&app->claim, hearth_claim_free);
}

static void dispose(GObject *object)
{
    HearthApp *app = HEARTH_APP(object);
    if (app->store) hearth_app_close(app);
    if (app->worker) g_signal_handlers_disconnect_by_data(app->worker, app);
    if (app->store) g_signal_handlers_disconnect_by_data(app->store, app);
    if (app->history) g_signal_handlers_disconnect_by_data(app->history, app);
    g_clear_object(&app->telemetry);
    g_clear_object(&app->history);
    g_clear_object(&app->worker);
    g_clear_object(&app->store);
    g_clear_object(&app->chat);
    g_clear_object(&app->settings);
    g_clear_pointer(&app->opening, g_free);
    g_clear_pointer(&app->refusal, g_free);
    G_OBJECT_CLASS(hearth_app_parent_class)->dispose(object);
}

static void hearth_app_class_init(HearthAppClass *class)
{
    G_OBJECT_CLASS(class)->dispose = dispose;
    notice_signal = g_signal_new("notice", HEARTH_TYPE_APP, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                 G_TYPE_NONE, 1, G_TYPE_STRING);
    trouble_signal = g_signal_new("trouble", HEARTH_TYPE_APP, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    refused_signal = g_signal_new("refused", HEARTH_TYPE_APP, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void hearth_app_init(HearthApp *app) { app->closed = false; }

GSettings *hearth_app_get_settings(HearthApp *app) { return app->settings; }
GSettings *hearth_app_get_chat_settings(HearthApp *app) { return app->chat; }
HearthHistory *hearth_app_get_history(HearthApp *app) { return app->history; }
HearthWorker *hearth_app_get_worker(HearthApp *app) { return app->worker; }
HearthTelemetry *hearth_app_get_telemetry(HearthApp *app) { return app->telemetry; }
