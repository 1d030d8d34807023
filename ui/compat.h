/* What changed names between GTK 4.8 / libadwaita 1.2 and today, behind six wrappers: choosing a
 * file, asking before what cannot be undone, About, the banner, the preferences window, a widget's
 * CSS colour; and what GTK 4.8 gets wrong for the whole program. Nothing else in ui/ asks for a
 * version.
 *
 * Callbacks are called once (never, when the parent is closed first), on the main loop, and then
 * `free_data` (or NULL): hand over a reference (g_object_ref, g_object_unref) when the caller may
 * be gone by then. `parent` is never NULL. */
#ifndef HEARTH_COMPAT_H
#define HEARTH_COMPAT_H

#include <adwaita.h>
#include <stdbool.h>

/* Once, when GTK has begun. */
void hearth_compat_mend(void);

/* `file`: borrowed; NULL = nothing was chosen. */
typedef void (*HearthFileFunc)(GFile *file, gpointer data);

/* `filters`: of GtkFileFilter, the first one is chosen; NULL = all files. */
void hearth_compat_open_file(GtkWindow *parent, const char *title, GListModel *filters,
                             HearthFileFunc done, gpointer data, GDestroyNotify free_data);
/* `name`: the suggested one. */
void hearth_compat_save_file(GtkWindow *parent, const char *title, const char *name,
                             GListModel *filters, HearthFileFunc done, gpointer data,
                             GDestroyNotify free_data);

void hearth_compat_show_about(GtkWindow *parent);

/* A strip above the content; hidden until shown. `clicked` (or NULL): its button, with `data`. */
typedef void (*HearthBannerFunc)(GtkWidget *banner, gpointer data);
GtkWidget *hearth_compat_banner_new(HearthBannerFunc clicked, gpointer data);
/* `button`: its label, or NULL for none. */
void hearth_compat_banner_show(GtkWidget *banner, const char *title, const char *button);
void hearth_compat_banner_hide(GtkWidget *banner);

/* Window or dialog of AdwPreferencesPages; lives until it is closed. */
GtkWidget *hearth_compat_preferences_new(void);
void hearth_compat_preferences_add(GtkWidget *preferences, AdwPreferencesPage *page);
void hearth_compat_preferences_add_toast(GtkWidget *preferences, AdwToast *toast);
void hearth_compat_preferences_present(GtkWidget *preferences, GtkWindow *parent);

/* `color` of its style, for what it draws itself. */
GdkRGBA hearth_compat_get_color(GtkWidget *widget);

#endif
