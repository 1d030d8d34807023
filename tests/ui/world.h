/* A whole program without its window, for tests of widgets: settings, history, worker and gauges
 * over an empty data folder (run-with-display makes it); and ways to find widgets as a person does.
 */
#ifndef TEST_UI_WORLD_H
#define TEST_UI_WORLD_H

#include <adwaita.h>
#include <stdbool.h>

#include "app.h"

typedef struct {
    HearthApp *app;
    char *folder; /* HEARTH_DATA_DIR; files may be put there */
    GSettings *settings, *chat;
    HearthWorker *worker;
    HearthHistory *history;
    HearthTelemetry *telemetry;
} World;

World *world_new(void);
void world_free(World *world);

/* Runs the main loop until it is so; false after a minute. */
bool world_wait(bool (*until)(void *data), void *data);
void world_run(double seconds);

/* Loads and waits; "" = Ember. Returns the state. */
HearthModelState world_load(World *world, const char *path);
bool world_settled(void *worker); /* not loading; for world_wait */

/* A file in the folder; g_free(). */
char *world_file(World *world, const char *name, const void *data, size_t size);

/* In a window that is on the screen. gtk_window_destroy(). */
GtkWindow *world_show(GtkWidget *widget, int width, int height);

/* The first descendant of that type, in drawing order, that `matches` (NULL: any). NULL = none. */
GtkWidget *world_find(GtkWidget *widget, GType type, bool (*matches)(GtkWidget *, const char *),
                      const char *text);
bool has_title(GtkWidget *row, const char *title);   /* AdwPreferencesRow */
bool has_label(GtkWidget *button, const char *text); /* GtkButton, without the underscore */
bool has_text(GtkWidget *label, const char *text);   /* GtkLabel: begins with it */
bool has_icon(GtkWidget *button, const char *name);  /* GtkButton */
bool has_image(GtkWidget *image, const char *name);  /* GtkImage */
bool has_tooltip(GtkWidget *widget, const char *text);
GtkWidget *world_row(GtkWidget *widget, const char *title); /* world_find of AdwPreferencesRow */
GtkWidget *world_in_row(GtkWidget *widget, const char *title, GType type);
bool world_seen(GtkWidget *widget); /* exists and is mapped */

#endif
