#include "window/gpu_banner.h"

#include <glib/gi18n-lib.h>

#include "compat.h"

static void on_load_again(GtkWidget *banner, gpointer data)
{
    HearthApp *app = data;
    g_autofree char *path = NULL;
    (void)banner;
    g_object_get(hearth_app_get_worker(app), "path", &path, NULL);
    hearth_app_open_model(app, path);
}

static void update(HearthWorker *worker, GParamSpec *spec, GtkWidget *banner)
{
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    (void)spec;
    if (!info || info->gpu_state != HEARTH_GPU_FAILED) {
        hearth_compat_banner_hide(banner);
        return;
    }
    /* Translators: a sentence that says what happened to the GPU */
    g_autofree char *said = g_strdup_printf(
        _("%s Conversations go on with the processor alone, more slowly."), info->gpu_reason);
    hearth_compat_banner_show(banner, said, _("Load Again"));
}

char *hearth_gpu_banner_no_room(const HearthModelInfo *info)
{
    if (!info || info->gpu_state != HEARTH_GPU_NO_ROOM) return NULL;
    return g_strdup(_("The processor computes alone: too little of the GPU’s memory is free"));
}

GtkWidget *hearth_gpu_banner_new(HearthApp *app)
{
    HearthWorker *worker = hearth_app_get_worker(app);
    GtkWidget *banner = hearth_compat_banner_new(on_load_again, app);
    g_object_set_data_full(G_OBJECT(banner), "hearth-app", g_object_ref(app), g_object_unref);
    g_signal_connect_object(worker, "notify::info", G_CALLBACK(update), banner, 0);
    update(worker, NULL, banner);
    return banner;
}
