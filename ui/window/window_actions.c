#include "window_actions.h"

#include <glib/gi18n-lib.h>

#include "compat.h"
#include "hardware/hardware_window.h"
#include "settings/conversation_options.h"
#include "settings/preferences.h"
#include "window/naming.h"
#include "window/sidebar/row.h"
#include "window/shortcuts.h"
#include "window/transfer.h"

#define ACTION(name) static void name(GSimpleAction *action, GVariant *target, gpointer data)

static HearthHistory *history_of(HearthWindow *window)
{
    return hearth_app_get_history(hearth_window_get_app(window));
}

/* A window and what its action is about, for the time that a popover or a toast stays. */
typedef struct {
    HearthWindow *window;
    GObject *thing; /* HearthConversation, HearthFolder or NULL */
    bool shown;     /* it was on show before it went */
} About;

static About *about_new(HearthWindow *window, gpointer thing)
{
    About *about = g_new0(About, 1);
    about->window = g_object_ref(window);
    about->thing = thing ? g_object_ref(thing) : NULL;
    return about;
}

static void about_free(gpointer data)
{
    About *about = data;
    g_clear_object(&about->thing);
    g_object_unref(about->window);
    g_free(about);
}

static HearthFolder *find_folder(HearthWindow *window, gint64 id)
{
    GListModel *folders = hearth_history_get_folders(history_of(window));
    for (guint i = 0; i < g_list_model_get_n_items(folders); i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(folders, i);
        if (hearth_folder_get_id(folder) == id) return folder; /* the list keeps it */
    }
    return NULL;
}

/* ---- naming ---------------------------------------------------------------------------------- */

static void on_renamed(const char *name, gpointer data)
{
    About *about = data;
    hearth_conversation_set_title(HEARTH_CONVERSATION(about->thing), name);
}

static void on_folder_renamed(const char *name, gpointer data)
{
    About *about = data;
    hearth_history_rename_folder(history_of(about->window), HEARTH_FOLDER(about->thing), name);
}

/* The conversation of `about`, if any, moves in. */
static void on_folder_named(const char *name, gpointer data)
{
    About *about = data;
    HearthFolder *folder = hearth_history_add_folder(history_of(about->window), name);
    if (about->thing)
        hearth_conversation_set_folder(HEARTH_CONVERSATION(about->thing),
                                       hearth_folder_get_id(folder));
}

static void ask_name(HearthWindow *window, gpointer thing, const char *heading, const char *name,
                     const char *action, HearthNamingFunc done)
{
    GdkRectangle place, *at;
    GtkWidget *anchor = hearth_window_place_of(window, thing, &place, &at);
    hearth_naming_ask(anchor, at, heading, name, action, done, about_new(window, thing),
                      about_free);
}

static void rename_conversation(HearthWindow *window, HearthConversation *conversation)
{
    if (conversation)
        ask_name(window, conversation, _("Rename Conversation"),
                 hearth_conversation_get_title(conversation), _("_Rename"), on_renamed);
}

/* ---- deleting, with Undo --------------------------------------------------------------------- */

static void on_conversation_restored(GObject *toast, gpointer data)
{
    About *about = data;
    HearthConversation *conversation = HEARTH_CONVERSATION(about->thing);
    (void)toast;
    hearth_history_restore(history_of(about->window), conversation);
    if (about->shown) hearth_window_open(about->window, conversation, 0);
}

static void on_folder_restored(GObject *toast, gpointer data)
{
    About *about = data;
    (void)toast;
    hearth_history_restore_folder(history_of(about->window), HEARTH_FOLDER(about->thing));
}

static void offer_undo(HearthWindow *window, const char *sentence, GCallback undo, About *about)
{
    g_autofree char *title = g_markup_escape_text(sentence, -1); /* a toast's title is markup */
    AdwToast *toast = adw_toast_new(title);
    adw_toast_set_button_label(toast, _("Undo"));
    adw_toast_set_timeout(toast, 10);
    g_signal_connect_data(toast, "button-clicked", undo, about,
                          (GClosureNotify)(void (*)(void))about_free, 0);
    hearth_window_toast(window, toast);
}

static void delete_conversation(HearthWindow *window, HearthConversation *conversation)
{
    gboolean stored = false;
    g_object_get(conversation, "stored", &stored, NULL);
    if (!stored) return; /* a new one, with nothing in it */
    About *about = about_new(window, conversation);
    g_autofree char *said = g_strdup_printf(_("“%s” deleted"), hearth_row_title_of(conversation));
    about->shown = conversation == hearth_window_get_conversation(window);
    if (about->shown) hearth_window_leave(window, conversation);
    hearth_history_delete(history_of(window), conversation);
    offer_undo(window, said, G_CALLBACK(on_conversation_restored), about);
}

/* ---- actions about what their target names --------------------------------------------------- */

static HearthConversation *named(gpointer window, GVariant *target)
{
    return hearth_history_find(history_of(window), g_variant_get_int64(target));
}

ACTION(on_rename_conversation)
{
    (void)action;
    rename_conversation(data, named(data, target));
}

ACTION(on_pin_conversation)
{
    HearthConversation *conversation = named(data, target);
    (void)action;
    if (conversation)
        hearth_conversation_set_pinned(conversation, !hearth_conversation_get_pinned(conversation));
}

ACTION(on_move_conversation)
{
    gint64 id, folder;
    (void)action;
    g_variant_get(target, "(xx)", &id, &folder);
    HearthConversation *conversation = hearth_history_find(history_of(data), id);
    if (conversation) hearth_conversation_set_folder(conversation, folder);
}

ACTION(on_move_to_new_folder)
{
    (void)action;
    ask_name(data, named(data, target), _("New Folder"), "", _("_Create"), on_folder_named);
}

ACTION(on_export_conversation)
{
    HearthConversation *conversation = named(data, target);
    (void)action;
    if (conversation) hearth_transfer_export(data, conversation);
}

ACTION(on_delete_conversation)
{
    HearthConversation *conversation = named(data, target);
    (void)action;
    if (conversation) delete_conversation(data, conversation);
}

ACTION(on_rename_folder)
{
    HearthFolder *folder = find_folder(data, g_variant_get_int64(target));
    (void)action;
    if (folder)
        ask_name(data, folder, _("Rename Folder"), hearth_folder_get_name(folder), _("_Rename"),
                 on_folder_renamed);
}

ACTION(on_delete_folder)
{
    HearthFolder *folder = find_folder(data, g_variant_get_int64(target));
    (void)action;
    if (!folder) return;
    About *about = about_new(data, folder);
    g_autofree char *said = g_strdup_printf(_("Folder “%s” deleted; its conversations are kept"),
                                            hearth_folder_get_name(folder));
    hearth_history_delete_folder(history_of(data), folder);
    offer_undo(data, said, G_CALLBACK(on_folder_restored), about);
}

ACTION(on_new_conversation_in)
{
    (void)action;
    hearth_window_open_new(data, g_variant_get_int64(target));
}

/* ---- actions about the window and what it shows ---------------------------------------------- */

ACTION(on_new_conversation)
{
    (void)action;
    (void)target;
    hearth_window_open_new(data, 0);
}

ACTION(on_new_folder)
{
    (void)action;
    (void)target;
    ask_name(data, NULL, _("New Folder"), "", _("_Create"), on_folder_named);
}

ACTION(on_search)
{
    (void)action;
    (void)target;
    hearth_window_focus_search(data);
}

ACTION(on_rename)
{
    (void)action;
    (void)target;
    rename_conversation(data, hearth_window_get_conversation(data));
}

ACTION(on_export)
{
    HearthConversation *conversation = hearth_window_get_conversation(data);
    (void)action;
    (void)target;
    if (conversation) hearth_transfer_export(data, conversation);
}

ACTION(on_export_all)
{
    (void)action;
    (void)target;
    hearth_transfer_export(data, NULL);
}

ACTION(on_import)
{
    (void)action;
    (void)target;
    hearth_transfer_import(data);
}

ACTION(on_stop)
{
    (void)action;
    (void)target;
    hearth_window_escape(data);
}

ACTION(on_previous)
{
    (void)action;
    (void)target;
    hearth_window_step(data, -1);
}

ACTION(on_next)
{
    (void)action;
    (void)target;
    hearth_window_step(data, 1);
}

ACTION(on_main_menu)
{
    (void)action;
    (void)target;
    hearth_window_open_main_menu(data);
}

ACTION(on_resize_sidebar)
{
    (void)action;
    (void)target;
    hearth_window_resize_sidebar(data);
}

ACTION(on_open_model)
{
    (void)action;
    (void)target;
    hearth_window_choose_model(data);
}

ACTION(on_preferences)
{
    GtkWidget *preferences = hearth_preferences_new(hearth_window_get_app(data));
    (void)action;
    (void)target;
    hearth_compat_preferences_present(preferences, data);
}

static void forget_hardware(GObject *window) { g_object_set_data(window, "hearth-hardware", NULL); }

/* Beside the window, which goes on; there is one. */
static HearthHardwareWindow *show_hardware(gpointer data)
{
    GtkWindow *shown = g_object_get_data(data, "hearth-hardware");
    if (!shown) {
        shown = GTK_WINDOW(hearth_hardware_window_new(hearth_window_get_app(data)));
        gtk_window_set_transient_for(shown, data);
        gtk_window_set_destroy_with_parent(shown, true);
        g_object_set_data(data, "hearth-hardware", shown);
        g_signal_connect_object(shown, "destroy", G_CALLBACK(forget_hardware), data,
                                G_CONNECT_SWAPPED);
    }
    gtk_window_present(shown);
    return HEARTH_HARDWARE_WINDOW(shown);
}

ACTION(on_hardware)
{
    (void)action;
    (void)target;
    show_hardware(data);
}

ACTION(on_plan)
{
    (void)action;
    (void)target;
    hearth_hardware_window_show_plan(show_hardware(data));
}

ACTION(on_conversation_options)
{
    HearthConversation *conversation = hearth_window_get_conversation(data);
    (void)action;
    (void)target;
    if (!conversation) return;
    GtkWindow *options =
        GTK_WINDOW(hearth_conversation_options_new(hearth_window_get_app(data), conversation));
    gtk_window_set_transient_for(options, data);
    gtk_window_set_modal(options, true);
    gtk_window_set_destroy_with_parent(options, true);
    gtk_window_present(options);
}

ACTION(on_shortcuts)
{
    (void)action;
    (void)target;
    hearth_shortcuts_show(data);
}

ACTION(on_about)
{
    (void)action;
    (void)target;
    hearth_compat_show_about(data);
}

ACTION(on_toast)
{
    (void)action;
    hearth_window_say(data, g_variant_get_string(target, NULL));
}

ACTION(on_notice)
{
    (void)action;
    hearth_window_notice(data, g_variant_get_string(target, NULL));
}

void hearth_window_actions_add(HearthWindow *window)
{
    static const GActionEntry entries[] = {
        {.name = "rename-conversation", on_rename_conversation, "x"},
        {.name = "pin-conversation", on_pin_conversation, "x"},
        {.name = "move-conversation", on_move_conversation, "(xx)"},
        {.name = "move-to-new-folder", on_move_to_new_folder, "x"},
        {.name = "export-conversation", on_export_conversation, "x"},
        {.name = "delete-conversation", on_delete_conversation, "x"},
        {.name = "rename-folder", on_rename_folder, "x"},
        {.name = "delete-folder", on_delete_folder, "x"},
        {.name = "new-conversation-in", on_new_conversation_in, "x"},
        {.name = "new-conversation", on_new_conversation},
        {.name = "new-folder", on_new_folder},
        {.name = "search", on_search},
        {.name = "rename", on_rename},
        {.name = "export", on_export},
        {.name = "export-all", on_export_all},
        {.name = "import", on_import},
        {.name = "stop", on_stop},
        {.name = "previous-conversation", on_previous},
        {.name = "next-conversation", on_next},
        {.name = "main-menu", on_main_menu},
        {.name = "resize-sidebar", on_resize_sidebar},
        {.name = "open-model", on_open_model},
        {.name = "preferences", on_preferences},
        {.name = "hardware", on_hardware},
        {.name = "plan", on_plan},
        {.name = "conversation-options", on_conversation_options},
        {.name = "shortcuts", on_shortcuts},
        {.name = "about", on_about},
        {.name = "toast", on_toast, "s"},
        {.name = "notice", on_notice, "s"},
    };
    g_action_map_add_action_entries(G_ACTION_MAP(window), entries, G_N_ELEMENTS(entries), window);
}
