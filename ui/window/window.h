/* The window: the sidebar, the conversation that is shown, and what is said in passing (toasts) or
 * until it is dismissed (banners). Keeps its size and what it showed last in the settings. */
#ifndef HEARTH_WINDOW_H
#define HEARTH_WINDOW_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_WINDOW (hearth_window_get_type())
G_DECLARE_FINAL_TYPE(HearthWindow, hearth_window, HEARTH, WINDOW, AdwApplicationWindow)

/* Shows the last conversation, or a new one, as soon as the history has been read. */
HearthWindow *hearth_window_new(GtkApplication *application, HearthApp *app);

HearthApp *hearth_window_get_app(HearthWindow *window);                   /* borrowed */
HearthConversation *hearth_window_get_conversation(HearthWindow *window); /* borrowed, or NULL */

/* Shows it; `message`: scrolls there, 0 = where it was left. */
void hearth_window_open(HearthWindow *window, HearthConversation *conversation, gint64 message);
void hearth_window_open_id(HearthWindow *window, gint64 conversation); /* also before "ready" */
void hearth_window_open_new(HearthWindow *window, gint64 folder);      /* also before "ready" */
/* The one before or after it, for when it is about to go; a new one when there is none. */
void hearth_window_leave(HearthWindow *window, HearthConversation *conversation);
void hearth_window_step(HearthWindow *window, int by);

/* A .gguf becomes the model; anything else is attached to the message. */
void hearth_window_take_file(HearthWindow *window, GFile *file);
void hearth_window_choose_model(HearthWindow *window); /* by a dialog */

/* Takes the toast. */
void hearth_window_toast(HearthWindow *window, AdwToast *toast);
void hearth_window_say(HearthWindow *window, const char *sentence);    /* in passing */
void hearth_window_notice(HearthWindow *window, const char *sentence); /* until dismissed */

void hearth_window_focus_search(HearthWindow *window);
void hearth_window_open_main_menu(HearthWindow *window);
void hearth_window_resize_sidebar(HearthWindow *window);
/* Escape: what is open closes, else the answer that is being written stops. */
void hearth_window_escape(HearthWindow *window);

/* A widget, and the place in it (in *ret) that stands for a conversation or folder: its row, or the
 * header's menu button. *ret_at: NULL = all of the widget. */
GtkWidget *hearth_window_place_of(HearthWindow *window, gpointer thing, GdkRectangle *ret,
                                  GdkRectangle **ret_at);

#endif
