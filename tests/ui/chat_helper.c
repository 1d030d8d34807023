#define TEST_PART
#include "chat_helper.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/message/view.h"
#include "error.h"
#include "store/store.h"

static char *data_dir;

/* ---- the room -------------------------------------------------------------------------------- */

static void add_style(const char *folder)
{
    g_autofree char *path = g_strdup_printf("/io/github/hearth_ai/Hearth/%s/style.css", folder);
    if (!g_resources_get_info(path, G_RESOURCE_LOOKUP_FLAGS_NONE, NULL, NULL, NULL)) return;
    g_autoptr(GtkCssProvider) provider = gtk_css_provider_new();
    gtk_css_provider_load_from_resource(provider, path);
    gtk_style_context_add_provider_for_display(gdk_display_get_default(),
                                               GTK_STYLE_PROVIDER(provider),
                                               GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
}

void chat_begin(void)
{
    g_setenv("GTK_A11Y", "test", TRUE);
    gtk_init(); /* not gtk_test_init, which prints before the first line of TAP */
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    adw_init();
    /* Pictures and places do not wait for animations; the tests that want them turn them on. */
    g_object_set(gtk_settings_get_default(), "gtk-enable-animations", FALSE, NULL);
    const char *mode = getenv("TEST_SHOTS_MODE");
    if (!g_strcmp0(mode, "rtl")) gtk_widget_set_default_direction(GTK_TEXT_DIR_RTL);
    if (!g_strcmp0(mode, "large"))
        g_object_set(gtk_settings_get_default(), "gtk-xft-dpi", 96 * 1024 * 3 / 2, NULL);
    add_style("chat");
    add_style("markdown");
    gtk_icon_theme_add_resource_path(gtk_icon_theme_get_for_display(gdk_display_get_default()),
                                     "/io/github/hearth_ai/Hearth/icons");
}

static void make_window(ChatRoom *room)
{
    room->view = hearth_chat_view_new(room->app);
    room->overlay = adw_toast_overlay_new();
    adw_toast_overlay_set_child(ADW_TOAST_OVERLAY(room->overlay), room->view);
    room->window = adw_window_new();
    int width = 1280, height = 800;
    const char *size = getenv("TEST_SHOTS_SIZE");
    if (size) sscanf(size, "%dx%d", &width, &height);
    gtk_window_set_default_size(GTK_WINDOW(room->window), width, height);
    adw_window_set_content(ADW_WINDOW(room->window), room->overlay);
    gtk_window_present(GTK_WINDOW(room->window));
    chat_spin(100);
}

static void make_app(ChatRoom *room)
{
    g_autoptr(GError) error = NULL;
    room->app = hearth_app_new(&error);
    if (!room->app) g_error("%s", error->message);
    room->worker = hearth_app_get_worker(room->app);
    room->history = hearth_app_get_history(room->app);
    hearth_worker_load(room->worker, NULL, NULL);
    CHAT_WAIT(hearth_history_is_ready(room->history));
}

static void make_data_dir(void)
{
    data_dir = g_dir_make_tmp("hearth-chat-XXXXXX", NULL);
    g_setenv("HEARTH_DATA_DIR", data_dir, TRUE);
}

void chat_room_open(ChatRoom *room)
{
    make_data_dir();
    make_app(room);
    make_window(room);
    room->conversation = hearth_history_new_conversation(room->history, 0);
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room->view), room->conversation);
    gtk_widget_grab_focus(room->view);
    chat_spin(100);
}

static void opened(GObject *store, GAsyncResult *result, void *done)
{
    *(bool *)done = hearth_store_open_finish(HEARTH_STORE(store), result, NULL, NULL);
}

static void put_messages(HearthStore *store, int n, const char *more)
{
    HearthConversationRow conversation = {
        .id = 1, .title = (char *)"Long", .created = 1, .updated = 2, .head = n + 1};
    hearth_store_put_conversation(store, &conversation);
    for (int i = 0; i < n; i++) {
        g_autofree char *text = i % 2 ? g_strdup_printf("Answer %d\n\n%s", i, more)
                                      : g_strdup_printf("Question %d?", i);
        HearthMessageRow row = {.id = i + 2,
                                .conversation = 1,
                                .parent = i ? i + 1 : 0,
                                .role = i % 2 ? HEARTH_ROLE_ASSISTANT : HEARTH_ROLE_USER,
                                .state = HEARTH_STATE_DONE,
                                .content = text,
                                .model = (char *)(i % 2 ? "Ember" : ""),
                                .created = i + 1,
                                .stats = {.tokens = 100, .decode_s = 10}};
        hearth_store_put_message(store, &row);
    }
}

void chat_room_open_stored(ChatRoom *room, int n, const char *more)
{
    make_data_dir();
    g_autofree char *path = g_build_filename(data_dir, "history.db", NULL);
    g_autoptr(HearthStore) store = hearth_store_new(path);
    bool done = false;
    hearth_store_open_async(store, opened, &done);
    CHAT_WAIT(done);
    put_messages(store, n, more);
    hearth_store_close(store, 60);
    make_app(room);
    make_window(room);
    room->conversation = hearth_history_find(room->history, 1);
}

static void drawn(GdkFrameClock *clock, bool *done)
{
    (void)clock;
    *done = true;
}

double chat_room_show(ChatRoom *room)
{
    GdkFrameClock *clock = gtk_widget_get_frame_clock(room->window);
    gint64 begun = g_get_monotonic_time();
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room->view), room->conversation);
    while (!hearth_conversation_is_loaded(room->conversation)) g_main_context_iteration(NULL, TRUE);
    bool done = false;
    gulong handler = g_signal_connect(clock, "after-paint", G_CALLBACK(drawn), &done);
    gdk_frame_clock_request_phase(clock, GDK_FRAME_CLOCK_PHASE_PAINT);
    while (!done) g_main_context_iteration(NULL, TRUE);
    g_signal_handler_disconnect(clock, handler);
    return (double)(g_get_monotonic_time() - begun) / 1000;
}

static void remove_folder(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        g_remove(file);
    }
    g_rmdir(path);
}

void chat_room_close(ChatRoom *room)
{
    gtk_window_destroy(GTK_WINDOW(room->window));
    chat_spin(20);
    hearth_app_close(room->app);
    chat_spin(20);
    g_object_unref(room->app);
    remove_folder(data_dir);
    g_clear_pointer(&data_dir, g_free);
}

static gboolean set_true(void *done)
{
    *(bool *)done = true;
    return G_SOURCE_REMOVE;
}

void chat_spin(int ms)
{
    bool done = false;
    g_timeout_add(ms, set_true, &done);
    while (!done) g_main_context_iteration(NULL, TRUE);
}

/* ---- finding --------------------------------------------------------------------------------- */

/* GTK tells the label of a widget to tests only through this check. */
static bool is_labelled(GtkWidget *widget, const char *label)
{
    if (!label) return true;
    g_autofree char *wrong = gtk_test_accessible_check_property(
        GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, label);
    if (!wrong) return true;
    return GTK_IS_BUTTON(widget) && !g_strcmp0(gtk_button_get_label(GTK_BUTTON(widget)), label);
}

GtkWidget *chat_find(GtkWidget *in, const char *type, const char *label)
{
    if (!gtk_widget_get_visible(in) || !gtk_widget_get_child_visible(in)) return NULL;
    if (!g_strcmp0(G_OBJECT_TYPE_NAME(in), type) && is_labelled(in, label)) return in;
    for (GtkWidget *child = gtk_widget_get_first_child(in); child;
         child = gtk_widget_get_next_sibling(child)) {
        GtkWidget *found = chat_find(child, type, label);
        if (found) return found;
    }
    return NULL;
}

int chat_count(GtkWidget *in, const char *type)
{
    if (!gtk_widget_get_visible(in) || !gtk_widget_get_child_visible(in)) return 0;
    int n = !g_strcmp0(G_OBJECT_TYPE_NAME(in), type);
    for (GtkWidget *child = gtk_widget_get_first_child(in); child;
         child = gtk_widget_get_next_sibling(child))
        n += chat_count(child, type);
    return n;
}

bool chat_says(GtkWidget *in, const char *text)
{
    if (!gtk_widget_get_visible(in) || !gtk_widget_get_child_visible(in)) return false;
    if (GTK_IS_LABEL(in) && strstr(gtk_label_get_text(GTK_LABEL(in)), text)) return true;
    for (GtkWidget *child = gtk_widget_get_first_child(in); child;
         child = gtk_widget_get_next_sibling(child))
        if (chat_says(child, text)) return true;
    return false;
}

void chat_click(GtkWidget *in, const char *label)
{
    GtkWidget *button = chat_find(in, "GtkButton", label);
    if (!button || !gtk_widget_get_sensitive(button))
        printf("# no button %s to click\n", label);
    else
        g_signal_emit_by_name(button, "clicked");
    chat_spin(30);
}

/* ---- typing ---------------------------------------------------------------------------------- */

GtkTextView *chat_field(ChatRoom *room)
{
    GtkWidget *composer = chat_find(room->view, "HearthChatComposer", NULL);
    return GTK_TEXT_VIEW(chat_find(composer, "GtkTextView", "Message"));
}

void chat_type(GtkTextView *field, const char *text)
{
    GtkTextBuffer *buffer = gtk_text_view_get_buffer(field);
    gtk_text_buffer_insert_interactive_at_cursor(buffer, text, -1, TRUE);
}

bool chat_key(GtkWidget *widget, guint keyval, GdkModifierType state)
{
    g_autoptr(GListModel) controllers = gtk_widget_observe_controllers(widget);
    for (guint i = 0; i < g_list_model_get_n_items(controllers); i++) {
        g_autoptr(GtkEventController) one = g_list_model_get_item(controllers, i);
        gboolean used = FALSE;
        if (!GTK_IS_EVENT_CONTROLLER_KEY(one)) continue;
        /* The widget's own controllers need a real event; ours are told by their phase or place. */
        if (GTK_IS_TEXT_VIEW(widget) &&
            gtk_event_controller_get_propagation_phase(one) != GTK_PHASE_CAPTURE)
            continue;
        g_signal_emit_by_name(one, "key-pressed", keyval, 0, state, &used);
        if (used) {
            chat_spin(30);
            return true;
        }
    }
    return false;
}

char *chat_text_of(GtkTextView *field)
{
    char *text = NULL;
    g_object_get(gtk_text_view_get_buffer(field), "text", &text, NULL);
    return text;
}

/* ---- asking and answering -------------------------------------------------------------------- */

void chat_ask(ChatRoom *room, const char *text)
{
    chat_type(chat_field(room), text);
    chat_key(GTK_WIDGET(chat_field(room)), GDK_KEY_Return, 0);
}

static void tell(ChatRoom *room)
{
    fake_worker_flush(room->worker);
    chat_spin(60);
}

void chat_answer(ChatRoom *room, const char *text)
{
    HearthStream *stream = fake_worker_stream(room->worker);
    hearth_stream_set_model(stream, "Ember");
    hearth_stream_add(stream, HEARTH_STATE_ANSWERING, false, text, strlen(text), &(HearthStats){0});
    tell(room);
}

void chat_think(ChatRoom *room, const char *text)
{
    HearthStream *stream = fake_worker_stream(room->worker);
    hearth_stream_set_model(stream, "Ember");
    hearth_stream_add(stream, HEARTH_STATE_THINKING, true, text, strlen(text), &(HearthStats){0});
    tell(room);
}

void chat_end(ChatRoom *room, HearthState state, const char *error)
{
    HearthStats stats = {.prompt_tokens = 40,
                         .tokens = 1204,
                         .decode_s = 1204 / 9.8,
                         .prefill_s = 70,
                         .first_token_s = 71,
                         .thinking_s = 41};
    GError *why = error ? g_error_new_literal(HEARTH_ERROR, HEARTH_ERROR_REFUSED, error) : NULL;
    hearth_stream_end(fake_worker_stream(room->worker), state, &stats, why);
    tell(room);
}

void chat_ask_and_answer(ChatRoom *room, const char *question, const char *answer)
{
    chat_ask(room, question);
    chat_answer(room, answer);
    chat_end(room, HEARTH_STATE_DONE, NULL);
}

guint chat_n_messages(ChatRoom *room)
{
    return g_list_model_get_n_items(G_LIST_MODEL(room->conversation));
}

HearthMessage *chat_message(ChatRoom *room, guint i)
{
    g_autoptr(HearthMessage) message = g_list_model_get_item(G_LIST_MODEL(room->conversation), i);
    return message; /* the conversation has it */
}

GtkAdjustment *chat_scroll_of(ChatRoom *room)
{
    GtkWidget *transcript = chat_find(room->view, "HearthChatTranscript", NULL);
    GtkWidget *scroller = chat_find(transcript, "GtkScrolledWindow", NULL);
    return gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(scroller));
}

GtkWidget *chat_row(ChatRoom *room, gint64 message)
{
    GtkWidget *column = chat_find(room->view, "HearthChatColumn", NULL);
    for (GtkWidget *row = column ? gtk_widget_get_first_child(column) : NULL; row;
         row = gtk_widget_get_next_sibling(row))
        if (hearth_message_get_id(hearth_message_view_get_message(HEARTH_MESSAGE_VIEW(row))) ==
            message)
            return row;
    return NULL;
}

GtkWidget *chat_row_at(ChatRoom *room, guint i)
{
    return chat_row(room, hearth_message_get_id(chat_message(room, i)));
}

double chat_row_top(ChatRoom *room, GtkWidget *row)
{
    graphene_rect_t bounds;
    GtkWidget *column = chat_find(room->view, "HearthChatColumn", NULL);
    return gtk_widget_compute_bounds(row, column, &bounds) ? (double)bounds.origin.y : -1e9;
}

/* ---- pictures -------------------------------------------------------------------------------- */

void chat_shot(ChatRoom *room, const char *name)
{
    const char *folder = getenv("TEST_SHOTS");
    if (!folder) return;
    chat_spin(150);
    int width = gtk_widget_get_width(room->window), height = gtk_widget_get_height(room->window);
    g_autoptr(GdkPaintable) paintable = gtk_widget_paintable_new(room->window);
    GtkSnapshot *snapshot = gtk_snapshot_new();
    gdk_paintable_snapshot(paintable, snapshot, width, height);
    GskRenderNode *node = gtk_snapshot_free_to_node(snapshot);
    GskRenderer *renderer = gtk_native_get_renderer(GTK_NATIVE(room->window));
    g_autoptr(GdkTexture) texture = gsk_renderer_render_texture(
        renderer, node, &GRAPHENE_RECT_INIT(0, 0, (float)width, (float)height));
    gsk_render_node_unref(node);
    g_autofree char *file = g_strdup_printf("%s/chat-%s.png", folder, name);
    gdk_texture_save_to_png(texture, file);
}
