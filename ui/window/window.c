#include "window.h"

#include <glib/gi18n-lib.h>

#include "chat/chat_view.h"
#include "compat.h"
#include "hardware/gauge_strip.h"
#include "error.h"
#include "models/model_button.h"
#include "trace.h"
#include "window/gpu_banner.h"
#include "window/menus.h"
#include "window/sidebar/row.h"
#include "window/shortcuts.h"
#include "window/sidebar/sidebar.h"
#include "window/split.h"
#include "window/window_actions.h"

struct _HearthWindow {
    AdwApplicationWindow parent_instance;
    HearthApp *app;
    GSettings *settings;
    GtkWidget *toasts, *split, *header, *sidebar_button, *new_button, *menu_button, *banners, *chat,
        *foot;
    HearthSidebar *sidebar;
    HearthChatView *view;
    HearthModelButton *model_button;
    GtkWidget *trouble, *refused, *notice, *unloaded; /* banners */
    GPtrArray *notes; /* sentences that are not dismissed, the last one shown */
    HearthConversation *conversation;
    GSignalGroup *of_conversation;
    /* What to show when the history has been read. */
    gint64 awaited, awaited_folder;
    bool awaits_new;
};

G_DEFINE_FINAL_TYPE(HearthWindow, hearth_window, ADW_TYPE_APPLICATION_WINDOW)

HearthApp *hearth_window_get_app(HearthWindow *self) { return self->app; }
HearthConversation *hearth_window_get_conversation(HearthWindow *self)
{
    return self->conversation;
}

/* ---- the conversation that is shown ---------------------------------------------------------- */

static void show_title(HearthWindow *self)
{
    bool named = self->conversation && *hearth_conversation_get_title(self->conversation);
    gtk_window_set_title(GTK_WINDOW(self),
                         named ? hearth_conversation_get_title(self->conversation) : _("Hearth"));
}

/* The model could not be loaded, and why. Where no message is, the page in their place says it. */
static void show_unloaded(HearthWindow *self)
{
    HearthWorker *worker = hearth_app_get_worker(self->app);
    const char *error = hearth_worker_get_state(worker) == HEARTH_MODEL_FAILED
                            ? hearth_worker_get_error(worker)
                            : NULL;
    if (error && self->conversation &&
        g_list_model_get_n_items(G_LIST_MODEL(self->conversation)) > 0)
        hearth_compat_banner_show(self->unloaded, error, _("Choose Another…"));
    else
        hearth_compat_banner_hide(self->unloaded);
}

static void on_choose_another(GtkWidget *banner, gpointer data)
{
    (void)banner;
    hearth_window_choose_model(data);
}

void hearth_window_open(HearthWindow *self, HearthConversation *conversation, gint64 message)
{
    if (g_set_object(&self->conversation, conversation)) {
        g_signal_group_set_target(self->of_conversation, conversation);
        g_settings_set_int64(self->settings, "last-conversation",
                             hearth_conversation_get_id(conversation));
        show_title(self);
        hearth_chat_view_set_conversation(self->view, conversation);
        show_unloaded(self);
    }
    if (message) hearth_chat_view_show_message(self->view, message);
    hearth_sidebar_set_current(self->sidebar, conversation);
    if (hearth_split_get_narrow(HEARTH_SPLIT(self->split)))
        hearth_split_set_show_sidebar(HEARTH_SPLIT(self->split), false);
}

static void on_loaded(HearthWindow *self)
{
    if (hearth_conversation_is_loaded(self->conversation))
        hearth_trace_frame(GTK_WIDGET(self), "conversation");
}

static void open_awaited(HearthWindow *self)
{
    HearthHistory *history = hearth_app_get_history(self->app);
    HearthConversation *conversation = NULL;
    if (!hearth_history_is_ready(history)) return;
    if (!self->awaits_new) conversation = hearth_history_find(history, self->awaited);
    bool fresh = !conversation, first = !self->conversation;
    if (fresh) conversation = hearth_history_new_conversation(history, self->awaited_folder);
    hearth_window_open(self, conversation, 0);
    /* At the start GTK has put the focus somewhere by now. */
    if (fresh || first || !gtk_window_get_focus(GTK_WINDOW(self)))
        gtk_widget_grab_focus(GTK_WIDGET(self->view));
}

void hearth_window_open_id(HearthWindow *self, gint64 conversation)
{
    self->awaited = conversation;
    self->awaits_new = false;
    self->awaited_folder = 0;
    open_awaited(self);
}

void hearth_window_open_new(HearthWindow *self, gint64 folder)
{
    self->awaits_new = true;
    self->awaited_folder = folder;
    open_awaited(self);
}

void hearth_window_step(HearthWindow *self, int by)
{
    HearthConversation *conversation = hearth_sidebar_step(self->sidebar, by);
    if (conversation) hearth_window_open(self, conversation, 0);
}

void hearth_window_leave(HearthWindow *self, HearthConversation *conversation)
{
    HearthConversation *other = hearth_sidebar_step(self->sidebar, 1);
    if (!other || other == conversation) other = hearth_sidebar_step(self->sidebar, -1);
    if (other && other != conversation)
        hearth_window_open(self, other, 0);
    else
        hearth_window_open_new(self, 0);
}

static void on_opened(HearthWindow *self, HearthConversation *conversation, gint64 message)
{
    hearth_window_open(self, conversation, message);
}

/* To write to it. */
static void on_activated(HearthWindow *self) { gtk_widget_grab_focus(GTK_WIDGET(self->view)); }

/* The focus goes back to where it was; but a row may have left the list meanwhile, and then it
 * would stay in the closed menu, where no key is heard. */
static gboolean mend_focus(gpointer data)
{
    HearthWindow *self = data;
    GtkWidget *focus = gtk_window_get_focus(GTK_WINDOW(self));
    if ((!focus || !gtk_widget_get_mapped(focus)) && self->view)
        gtk_widget_grab_focus(GTK_WIDGET(self->view));
    return G_SOURCE_REMOVE;
}

static void on_menu_closed(HearthWindow *self)
{
    g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, mend_focus, g_object_ref(self), g_object_unref);
}

static void on_menu_opens(GtkMenuButton *button, gpointer data)
{
    HearthWindow *self = data;
    if (!self->conversation) return;
    g_autoptr(GMenuModel) menu =
        hearth_menus_new_conversation(hearth_app_get_history(self->app), self->conversation, true);
    gtk_menu_button_set_menu_model(button, menu);
    g_signal_connect_object(gtk_menu_button_get_popover(button), "closed",
                            G_CALLBACK(on_menu_closed), self, G_CONNECT_SWAPPED);
}

void hearth_window_escape(HearthWindow *self)
{
    HearthSplit *split = HEARTH_SPLIT(self->split);
    if (hearth_split_get_narrow(split) && hearth_split_get_show_sidebar(split))
        hearth_split_set_show_sidebar(split, false);
    else if (self->conversation && hearth_conversation_is_busy(self->conversation))
        hearth_conversation_stop(self->conversation);
}

/* ---- the sidebar ----------------------------------------------------------------------------- */

/* Below the conversation while the sidebar with its own is not beside it. */
static void show_gauges(HearthWindow *self, bool wanted)
{
    bool narrow = hearth_split_get_narrow(HEARTH_SPLIT(self->split));
    GtkWidget *gauges = adw_bin_get_child(ADW_BIN(self->foot));
    gtk_widget_set_visible(self->foot, wanted);
    if (!wanted) return;
    if (!gauges) {
        gauges = hearth_gauge_strip_new(self->app);
        adw_bin_set_child(ADW_BIN(self->foot), gauges);
    }
    hearth_gauge_strip_set_form(HEARTH_GAUGE_STRIP(gauges),
                                narrow ? HEARTH_GAUGES_TWO_LINES : HEARTH_GAUGES_LINE);
}

static void show_sidebar_state(HearthWindow *self)
{
    HearthSplit *split = HEARTH_SPLIT(self->split);
    bool narrow = hearth_split_get_narrow(split);
    bool beside = !narrow && hearth_split_get_show_sidebar(split);
    adw_header_bar_set_show_start_title_buttons(ADW_HEADER_BAR(self->header), !beside);
    gtk_widget_set_visible(self->new_button, !beside && !narrow);
    show_gauges(self, !beside && g_settings_get_boolean(self->settings, "gauges-visible"));
    if (!narrow)
        g_settings_set_boolean(self->settings, "sidebar-visible",
                               hearth_split_get_show_sidebar(split));
}

void hearth_window_focus_search(HearthWindow *self)
{
    hearth_split_set_show_sidebar(HEARTH_SPLIT(self->split), true);
    hearth_sidebar_focus_search(self->sidebar);
}

void hearth_window_open_main_menu(HearthWindow *self)
{
    hearth_split_set_show_sidebar(HEARTH_SPLIT(self->split), true);
    hearth_sidebar_open_main_menu(self->sidebar);
}

void hearth_window_resize_sidebar(HearthWindow *self)
{
    hearth_split_focus_line(HEARTH_SPLIT(self->split));
}

GtkWidget *hearth_window_place_of(HearthWindow *self, gpointer thing, GdkRectangle *ret,
                                  GdkRectangle **ret_at)
{
    *ret_at = NULL;
    if (hearth_split_get_show_sidebar(HEARTH_SPLIT(self->split))) {
        if (thing && hearth_sidebar_locate(self->sidebar, thing, ret)) {
            *ret_at = ret;
            return GTK_WIDGET(self->sidebar);
        }
        if (thing != self->conversation) return hearth_sidebar_get_menu_button(self->sidebar);
    }
    return self->menu_button;
}

/* ---- saying things --------------------------------------------------------------------------- */

void hearth_window_toast(HearthWindow *self, AdwToast *toast)
{
    adw_toast_overlay_add_toast(ADW_TOAST_OVERLAY(self->toasts), toast);
}

void hearth_window_say(HearthWindow *self, const char *sentence)
{
    g_autofree char *title = g_markup_escape_text(sentence, -1); /* a toast's title is markup */
    hearth_window_toast(self, adw_toast_new(title));
}

static void show_notice(HearthWindow *self)
{
    guint n = self->notes->len;
    if (n)
        hearth_compat_banner_show(self->notice, self->notes->pdata[n - 1], _("Dismiss"));
    else
        hearth_compat_banner_hide(self->notice);
}

/* What is new is read first, and what it covers when it has been dismissed. */
void hearth_window_notice(HearthWindow *self, const char *sentence)
{
    guint at;
    if (!self->notes) return;                          /* the window is closed */
    g_autofree char *said = hearth_sentence(sentence); /* the system's need not be one */
    if (g_ptr_array_find_with_equal_func(self->notes, said, g_str_equal, &at))
        g_ptr_array_remove_index(self->notes, at);
    g_ptr_array_add(self->notes, g_steal_pointer(&said));
    show_notice(self);
}

static void on_notice_dismissed(GtkWidget *banner, gpointer data)
{
    HearthWindow *self = data;
    (void)banner;
    if (self->notes->len) g_ptr_array_set_size(self->notes, (int)self->notes->len - 1);
    show_notice(self);
}

static void on_trouble(HearthWindow *self, const char *sentence)
{
    if (sentence)
        hearth_compat_banner_show(self->trouble, sentence, NULL);
    else
        hearth_compat_banner_hide(self->trouble);
}

static void on_refused(HearthWindow *self, const char *sentence)
{
    if (sentence)
        hearth_compat_banner_show(self->refused, sentence, _("Try Again"));
    else
        hearth_compat_banner_hide(self->refused);
}

/* It comes back with what is said now. */
static void on_try_again(GtkWidget *banner, gpointer data)
{
    HearthWindow *self = data;
    hearth_compat_banner_hide(banner);
    hearth_app_try_again(self->app);
}

/* Once for each loading: the worker tells of sessions' memory, too. */
static void on_model_state(HearthWindow *self)
{
    HearthWorker *worker = hearth_app_get_worker(self->app);
    g_autofree char *said = hearth_worker_get_state(worker) == HEARTH_MODEL_READY
                                ? hearth_gpu_banner_no_room(hearth_worker_get_info(worker))
                                : NULL;
    if (said) hearth_window_say(self, said);
    show_unloaded(self);
}

/* ---- files that are dropped ------------------------------------------------------------------ */

void hearth_window_take_file(HearthWindow *self, GFile *file)
{
    g_autofree char *path = g_file_get_path(file);
    g_autofree char *folded = path ? g_ascii_strdown(path, -1) : NULL;
    if (!path)
        hearth_window_notice(self, _("Hearth reads files of this computer only: copy the file here "
                                     "first, then open it."));
    else if (g_str_has_suffix(folded, ".gguf"))
        hearth_app_open_model(self->app, path);
    else
        hearth_chat_view_attach(self->view, file);
}

void hearth_window_choose_model(HearthWindow *self)
{
    hearth_model_button_open_dialog(self->model_button);
}

static gboolean on_dropped(GtkDropTarget *target, const GValue *value, double x, double y,
                           gpointer data)
{
    (void)target;
    (void)x;
    (void)y;
    GdkFileList *list = g_value_get_boxed(value);
    g_autoptr(GSList) files = gdk_file_list_get_files(list);
    for (GSList *one = files; one; one = one->next) hearth_window_take_file(data, one->data);
    return files != NULL;
}

/* ---- size ------------------------------------------------------------------------------------ */

/* Not bound: a size that the schema does not allow would be a warning. */
static void keep_size(HearthWindow *self)
{
    int width, height;
    bool maximized = gtk_window_is_maximized(GTK_WINDOW(self));
    gtk_window_get_default_size(GTK_WINDOW(self), &width, &height);
    g_settings_set_boolean(self->settings, "window-maximized", maximized);
    if (maximized || width < 1 || height < 1) return;
    g_settings_set_int(self->settings, "window-width", CLAMP(width, 380, 16384));
    g_settings_set_int(self->settings, "window-height", CLAMP(height, 300, 16384));
}

static void restore_size(HearthWindow *self)
{
    gtk_window_set_default_size(GTK_WINDOW(self),
                                g_settings_get_int(self->settings, "window-width"),
                                g_settings_get_int(self->settings, "window-height"));
    if (g_settings_get_boolean(self->settings, "window-maximized"))
        gtk_window_maximize(GTK_WINDOW(self));
    hearth_split_set_show_sidebar(HEARTH_SPLIT(self->split),
                                  g_settings_get_boolean(self->settings, "sidebar-visible"));
    g_settings_bind(self->settings, "sidebar-width", self->split, "sidebar-width",
                    G_SETTINGS_BIND_DEFAULT);
    g_signal_connect(self, "notify::default-width", G_CALLBACK(keep_size), NULL);
    g_signal_connect(self, "notify::default-height", G_CALLBACK(keep_size), NULL);
    g_signal_connect(self, "notify::maximized", G_CALLBACK(keep_size), NULL);
}

/* ---- the widget ------------------------------------------------------------------------------ */

static void hearth_window_dispose(GObject *object)
{
    HearthWindow *self = HEARTH_WINDOW(object);
    /* It holds the split, whose buttons hold the actions: a circle. */
    g_action_map_remove_action(G_ACTION_MAP(self), "sidebar");
    g_clear_pointer(&self->notes, g_ptr_array_unref);
    g_clear_object(&self->of_conversation);
    g_clear_object(&self->conversation);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_window_parent_class)->dispose(object);
}

static void hearth_window_class_init(HearthWindowClass *class)
{
    GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_window_dispose;
    g_type_ensure(HEARTH_TYPE_SPLIT);
    gtk_widget_class_set_template_from_resource(widget_class,
                                                "/io/github/hearth_ai/Hearth/window/window.ui");
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, toasts);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, split);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, header);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, sidebar_button);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, new_button);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, menu_button);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, banners);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, chat);
    gtk_widget_class_bind_template_child(widget_class, HearthWindow, foot);
}

static void hearth_window_init(HearthWindow *self)
{
    gtk_widget_init_template(GTK_WIDGET(self));
    self->trouble = hearth_compat_banner_new(NULL, NULL);
    self->refused = hearth_compat_banner_new(on_try_again, self);
    self->notice = hearth_compat_banner_new(on_notice_dismissed, self);
    self->unloaded = hearth_compat_banner_new(on_choose_another, self);
    self->notes = g_ptr_array_new_with_free_func(g_free);
    gtk_box_append(GTK_BOX(self->banners), self->trouble);
    gtk_box_append(GTK_BOX(self->banners), self->refused);
    gtk_box_append(GTK_BOX(self->banners), self->notice);
    gtk_box_append(GTK_BOX(self->banners), self->unloaded);
    self->of_conversation = g_signal_group_new(HEARTH_TYPE_CONVERSATION);
    g_signal_group_connect_swapped(self->of_conversation, "notify::title", G_CALLBACK(show_title),
                                   self);
    g_signal_group_connect_swapped(self->of_conversation, "notify::loaded", G_CALLBACK(on_loaded),
                                   self);
    g_signal_group_connect_swapped(self->of_conversation, "items-changed",
                                   G_CALLBACK(show_unloaded), self);
    gtk_menu_button_set_create_popup_func(GTK_MENU_BUTTON(self->menu_button), on_menu_opens, self,
                                          NULL);
    gtk_widget_add_controller(GTK_WIDGET(self), hearth_shortcuts_new_controller());
    GtkDropTarget *drop = gtk_drop_target_new(GDK_TYPE_FILE_LIST, GDK_ACTION_COPY);
    g_signal_connect(drop, "drop", G_CALLBACK(on_dropped), self);
    gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(drop));
    hearth_window_actions_add(self);
    g_autoptr(GPropertyAction) sidebar =
        g_property_action_new("sidebar", self->split, "show-sidebar");
    g_action_map_add_action(G_ACTION_MAP(self), G_ACTION(sidebar));
}

static void fill(HearthWindow *self)
{
    self->sidebar = HEARTH_SIDEBAR(hearth_sidebar_new(self->app));
    self->view = HEARTH_CHAT_VIEW(hearth_chat_view_new(self->app));
    self->model_button = HEARTH_MODEL_BUTTON(hearth_model_button_new(self->app));
    g_object_set(self->split, "sidebar", self->sidebar, NULL);
    adw_bin_set_child(ADW_BIN(self->chat), GTK_WIDGET(self->view));
    adw_header_bar_set_title_widget(ADW_HEADER_BAR(self->header), GTK_WIDGET(self->model_button));
    hearth_split_set_home(HEARTH_SPLIT(self->split), GTK_WIDGET(self->view));
    g_signal_connect_object(self->sidebar, "activated", G_CALLBACK(on_activated), self,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(self->sidebar, "opened", G_CALLBACK(on_opened), self,
                            G_CONNECT_SWAPPED);
}

HearthWindow *hearth_window_new(GtkApplication *application, HearthApp *app)
{
    HearthWindow *self = g_object_new(HEARTH_TYPE_WINDOW, "application", application, NULL);
    HearthHistory *history = hearth_app_get_history(app);
    self->app = g_object_ref(app);
    self->settings = hearth_app_get_settings(app);
    self->awaited = g_settings_get_int64(self->settings, "last-conversation");
    fill(self);
    restore_size(self);
    show_sidebar_state(self);
    g_signal_connect_object(self->split, "notify::show-sidebar", G_CALLBACK(show_sidebar_state),
                            self, G_CONNECT_SWAPPED);
    g_signal_connect_object(self->settings, "changed::gauges-visible",
                            G_CALLBACK(show_sidebar_state), self, G_CONNECT_SWAPPED);
    g_signal_connect_object(app, "notice", G_CALLBACK(hearth_window_notice), self,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(app, "trouble", G_CALLBACK(on_trouble), self, G_CONNECT_SWAPPED);
    g_signal_connect_object(app, "refused", G_CALLBACK(on_refused), self, G_CONNECT_SWAPPED);
    on_refused(self, hearth_app_get_refusal(app));
    gtk_box_append(GTK_BOX(self->banners), hearth_gpu_banner_new(app));
    g_signal_connect_object(hearth_app_get_worker(app), "notify::state", G_CALLBACK(on_model_state),
                            self, G_CONNECT_SWAPPED);
    g_signal_connect_object(history, "notify::ready", G_CALLBACK(open_awaited), self,
                            G_CONNECT_SWAPPED);
    open_awaited(self);
    return self;
}
