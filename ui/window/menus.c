#include "menus.h"

#include <glib/gi18n-lib.h>

static void add(GMenu *menu, const char *label, const char *action, gint64 id)
{
    g_autoptr(GMenuItem) item = g_menu_item_new(label, NULL);
    g_menu_item_set_action_and_target(item, action, "x", id);
    g_menu_append_item(menu, item);
}

static GMenu *section(GMenu *menu)
{
    GMenu *one = g_menu_new();
    g_menu_append_section(menu, NULL, G_MENU_MODEL(one));
    return one;
}

GMenuModel *hearth_menus_new_main(void)
{
    GMenu *menu = g_menu_new();
    g_autoptr(GMenu) make = section(menu);
    g_menu_append(make, _("New _Folder…"), "win.new-folder");
    g_autoptr(GMenu) files = section(menu);
    g_menu_append(files, _("_Import…"), "win.import");
    g_menu_append(files, _("_Export All…"), "win.export-all");
    g_autoptr(GMenu) program = section(menu);
    g_menu_append(program, _("_Hardware"), "win.hardware");
    g_menu_append(program, _("_Preferences"), "win.preferences");
    g_menu_append(program, _("_Keyboard Shortcuts"), "win.shortcuts");
    g_menu_append(program, _("_About Hearth"), "win.about");
    return G_MENU_MODEL(menu);
}

GMenuModel *hearth_menus_new_folder(HearthFolder *folder)
{
    gint64 id = hearth_folder_get_id(folder);
    GMenu *menu = g_menu_new();
    add(menu, _("_New Conversation in Folder"), "win.new-conversation-in", id);
    g_autoptr(GMenu) change = section(menu);
    add(change, _("_Rename…"), "win.rename-folder", id);
    add(change, _("_Delete"), "win.delete-folder", id);
    return G_MENU_MODEL(menu);
}

static void add_move(GMenu *menu, const char *label, gint64 conversation, gint64 folder)
{
    g_autoptr(GMenuItem) item = g_menu_item_new(label, NULL);
    g_menu_item_set_action_and_target(item, "win.move-conversation", "(xx)", conversation, folder);
    g_menu_append_item(menu, item);
}

/* A name in a menu: its underscores are no mnemonics. */
static char *plain(const char *name)
{
    g_autoptr(GString) text = g_string_new(name);
    g_string_replace(text, "_", "__", 0);
    return g_strdup(text->str);
}

static GMenu *folders_menu(HearthHistory *history, HearthConversation *conversation)
{
    gint64 id = hearth_conversation_get_id(conversation);
    gint64 current = hearth_conversation_get_folder(conversation);
    GMenu *menu = g_menu_new();
    g_autoptr(GMenu) folders = section(menu);
    GListModel *all = hearth_history_get_folders(history);
    for (guint i = 0; i < g_list_model_get_n_items(all); i++) {
        g_autoptr(HearthFolder) folder = g_list_model_get_item(all, i);
        g_autofree char *name = plain(hearth_folder_get_name(folder));
        if (hearth_folder_get_id(folder) != current)
            add_move(folders, name, id, hearth_folder_get_id(folder));
    }
    g_autoptr(GMenu) others = section(menu);
    if (current) add_move(others, _("_No Folder"), id, 0);
    add(others, _("New _Folder…"), "win.move-to-new-folder", id);
    return menu;
}

GMenuModel *hearth_menus_new_conversation(HearthHistory *history, HearthConversation *conversation,
                                          bool shown)
{
    gint64 id = hearth_conversation_get_id(conversation);
    bool pinned = hearth_conversation_get_pinned(conversation);
    GMenu *menu = g_menu_new();
    g_autoptr(GMenu) change = section(menu);
    g_autoptr(GMenu) folders = folders_menu(history, conversation);
    add(change, _("_Rename…"), "win.rename-conversation", id);
    add(change, pinned ? _("Un_pin") : _("_Pin"), "win.pin-conversation", id);
    g_menu_append_submenu(change, _("_Move to Folder"), G_MENU_MODEL(folders));
    if (shown) {
        g_autoptr(GMenu) options = section(menu);
        g_menu_append(options, _("Conversation _Options"), "win.conversation-options");
    }
    g_autoptr(GMenu) out = section(menu);
    add(out, _("_Export…"), "win.export-conversation", id);
    add(out, _("_Delete"), "win.delete-conversation", id);
    return G_MENU_MODEL(menu);
}
