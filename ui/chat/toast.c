#include "toast.h"

#define KEY                                                                                        \
    "hearth-last-sentence" /* on the overlay: the toast that hearth_chat_toast_say showed          \
                            */

void hearth_chat_toast_show(GtkWidget *from, AdwToast *toast)
{
    GtkWidget *overlay = gtk_widget_get_ancestor(from, ADW_TYPE_TOAST_OVERLAY);
    if (overlay)
        adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(overlay), toast);
    else
        g_object_unref(toast);
}

static void forget(GtkWidget *overlay) { g_object_set_data(G_OBJECT(overlay), KEY, NULL); }

void hearth_chat_toast_say(GtkWidget *from, const char *sentence)
{
    GtkWidget *overlay = gtk_widget_get_ancestor(from, ADW_TYPE_TOAST_OVERLAY);
    if (!overlay) return;
    AdwToast *shown = g_object_get_data(G_OBJECT(overlay), KEY);
    g_autofree char *title = g_markup_escape_text(sentence, -1);
    if (shown && !g_strcmp0(adw_toast_get_title(shown), title)) return;
    AdwToast *toast = adw_toast_new(title);
    g_object_set_data(G_OBJECT(overlay), KEY, toast);
    g_signal_connect_object(toast, "dismissed", G_CALLBACK(forget), overlay, G_CONNECT_SWAPPED);
    adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(overlay), toast);
}
