/* The composer, and what an empty conversation shows above it. */
#include "test.h"

#include "chat_helper.h"

static ChatRoom room;

/* ---- the composer ---------------------------------------------------------------------------- */

static bool cursor_blinks(void)
{
    gboolean blinks;
    g_object_get(gtk_settings_get_default(), "gtk-cursor-blink", &blinks, NULL);
    return blinks;
}

static void sends_and_stops_in_one_place(void)
{
    chat_room_open(&room);
    GtkWidget *composer = chat_find(room.view, "HearthChatComposer", NULL);
    GtkWidget *button = chat_find(composer, "GtkButton", "Send");
    CHECK(button && !gtk_widget_get_sensitive(button));
    chat_type(chat_field(&room), "  \n ");
    CHECK(!gtk_widget_get_sensitive(button));
    chat_type(chat_field(&room), "Hello");
    CHECK(gtk_widget_get_sensitive(button));
    CHECK(!chat_key(GTK_WIDGET(chat_field(&room)), GDK_KEY_Return, GDK_SHIFT_MASK));
    CHECK_INT(fake_worker_asked(room.worker), 0);
    chat_click(composer, "Send");
    CHECK_INT(fake_worker_asked(room.worker), 1);
    CHECK(chat_find(composer, "GtkButton", "Stop") == button);
    CHECK(!cursor_blinks());
    g_autofree char *left = chat_text_of(chat_field(&room));
    CHECK_STR(left, "");
    chat_answer(&room, "Hello to");
    chat_type(chat_field(&room), "The next one");
    chat_key(GTK_WIDGET(chat_field(&room)), GDK_KEY_Return, 0);
    CHECK_INT(fake_worker_asked(room.worker), 1);
    g_autofree char *kept = chat_text_of(chat_field(&room));
    CHECK_STR(kept, "The next one");
    CHECK_SOON(chat_says(room.window, "An answer is being written"));
    chat_shot(&room, "busy");
    CHECK(hearth_stream_is_wanted(fake_worker_stream(room.worker)));
    chat_spin(450);
    chat_click(composer, "Stop");
    CHECK(!hearth_stream_is_wanted(fake_worker_stream(room.worker)));
    chat_end(&room, HEARTH_STATE_STOPPED, NULL);
    CHECK(chat_find(composer, "GtkButton", "Send") == button);
    CHECK(cursor_blinks());
    chat_room_close(&room);
}

static void keeps_drafts_apart(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Hearth?", "A program.");
    HearthConversation *other = hearth_history_new_conversation(room.history, 0);
    chat_type(chat_field(&room), "first draft");
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view), other);
    g_autofree char *empty = chat_text_of(chat_field(&room));
    CHECK_STR(empty, "");
    chat_type(chat_field(&room), "second draft");
    CHECK_STR(hearth_conversation_get_draft(room.conversation), "first draft");
    CHECK_STR(hearth_conversation_get_draft(other), "second draft");
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view), room.conversation);
    chat_spin(30);
    g_autofree char *back = chat_text_of(chat_field(&room));
    CHECK_STR(back, "first draft");
    GtkTextBuffer *buffer = gtk_text_view_get_buffer(chat_field(&room));
    while (gtk_text_buffer_get_can_undo(buffer)) gtk_text_buffer_undo(buffer);
    g_autofree char *undone = chat_text_of(chat_field(&room));
    CHECK_MSG(strstr(undone, "second") == NULL, "undo brought %s", undone);
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view), other);
    g_autofree char *second = chat_text_of(chat_field(&room));
    CHECK_STR(second, "second draft");
    chat_room_close(&room);
}

static GFile *make_file(const char *name, const char *text, size_t len)
{
    g_autofree char *path = g_build_filename(g_getenv("HEARTH_DATA_DIR"), name, NULL);
    g_file_set_contents(path, text, (gssize)len, NULL);
    return g_file_new_for_path(path);
}

static void attach(const char *name, const char *text, size_t len)
{
    g_autoptr(GFile) file = make_file(name, text, len);
    hearth_chat_view_attach(HEARTH_CHAT_VIEW(room.view), file);
    chat_spin(150);
}

static void takes_text_files(void)
{
    chat_room_open(&room);
    attach("hello.c", "int x; // ```\n", 14);
    attach("notes.txt", "\xef\xbb\xbfnotes", 8);
    GtkWidget *composer = chat_find(room.view, "HearthChatComposer", NULL);
    CHECK_SOON(chat_count(composer, "HearthChatChip") == 2);
    chat_type(chat_field(&room), "What is this?");
    chat_spin(400);
    chat_shot(&room, "attached");
    const char *prompt = "What is this?\n\n`hello.c`:\n````c\nint x; // "
                         "```\n````\n\n`notes.txt`:\n```txt\nnotes\n```";
    CHECK_STR(fake_worker_counted(room.worker), prompt);
    CHECK_SOON(chat_says(composer, "tokens"));
    chat_key(GTK_WIDGET(chat_field(&room)), GDK_KEY_Return, 0);
    CHECK_STR(hearth_message_get_content(chat_message(&room, 0), NULL), prompt);
    CHECK_SOON(chat_count(composer, "HearthChatChip") == 0);
    chat_answer(&room, "A file.");
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_shot(&room, "attachments-sent");
    attach("again.c", "int y;\n", 7);
    chat_click(composer, "Remove again.c");
    CHECK_SOON(chat_count(composer, "HearthChatChip") == 0);
    chat_room_close(&room);
}

/* Before the first answer, too, when the model has no session yet. */
static void warns_of_what_does_not_fit(void)
{
    chat_room_open(&room);
    fake_worker_set_context(room.worker, 0, 0);
    GtkWidget *composer = chat_find(room.view, "HearthChatComposer", NULL);
    GObject *tokens = gtk_widget_get_template_child(composer, G_OBJECT_TYPE(composer), "tokens");
    chat_type(chat_field(&room), "Short enough");
    CHECK_SOON(chat_says(composer, "4 tokens"));
    CHECK(!gtk_widget_has_css_class(GTK_WIDGET(tokens), "warning"));
    g_autofree char *text = g_strnfill(5000 * 4, 'a'); /* of 4,096 tokens */
    attach("long.txt", text, strlen(text));
    CHECK_SOON(gtk_widget_has_css_class(GTK_WIDGET(tokens), "warning"));
    fake_worker_set_context(room.worker, 0, 8192);
    chat_type(chat_field(&room), " for this one");
    CHECK_SOON(!gtk_widget_has_css_class(GTK_WIDGET(tokens), "warning"));
    chat_room_close(&room);
}

static void refuses_other_files(void)
{
    chat_room_open(&room);
    GtkWidget *composer = chat_find(room.view, "HearthChatComposer", NULL);
    attach("picture.png", "\x89PNG\r\n\x1a\n\0\0", 10);
    CHECK_SOON(chat_says(room.window, "“picture.png” is not plain text"));
    g_autofree char *large = g_malloc0((4 << 20) + 1);
    memset(large, 'a', (4 << 20) + 1);
    attach("large.txt", large, (4 << 20) + 1);
    chat_click(room.window, NULL);
    g_autoptr(GFile) folder = g_file_new_for_path(g_getenv("HEARTH_DATA_DIR"));
    hearth_chat_view_attach(HEARTH_CHAT_VIEW(room.view), folder);
    g_autoptr(GFile) endless = g_file_new_for_path("/dev/zero");
    hearth_chat_view_attach(HEARTH_CHAT_VIEW(room.view), endless);
    g_autoptr(GFile) gone = g_file_new_for_path("/nowhere/at/all");
    hearth_chat_view_attach(HEARTH_CHAT_VIEW(room.view), gone);
    chat_spin(200);
    CHECK_SOON(chat_count(composer, "HearthChatChip") == 0);
    attach("right.txt", large, 4 << 20);
    CHECK_SOON(chat_count(composer, "HearthChatChip") == 1);
    chat_room_close(&room);
}

static void takes_what_is_dropped(void)
{
    chat_room_open(&room);
    g_autoptr(GFile) file = make_file("dropped.txt", "text", 4);
    GSList list = {file, NULL};
    g_auto(GValue) value = G_VALUE_INIT;
    g_value_init(&value, GDK_TYPE_FILE_LIST);
    g_value_take_boxed(&value, gdk_file_list_new_from_list(&list));
    g_autoptr(GListModel) controllers = gtk_widget_observe_controllers(room.view);
    for (guint i = 0; i < g_list_model_get_n_items(controllers); i++) {
        g_autoptr(GtkEventController) one = g_list_model_get_item(controllers, i);
        gboolean taken = FALSE;
        if (!GTK_IS_DROP_TARGET(one)) continue;
        g_signal_emit_by_name(one, "drop", &value, 0.0, 0.0, &taken);
        CHECK(taken);
    }
    CHECK_SOON(chat_count(room.view, "HearthChatChip") == 1);
    chat_room_close(&room);
}
/* ---- the empty conversation ------------------------------------------------------------------ */

static void welcomes_by_the_model(void)
{
    chat_room_open(&room);
    chat_shot(&room, "welcome");
    CHECK_SOON(chat_says(room.view, "it knows Hearth and little else"));
    fake_worker_set_model(room.worker, HEARTH_MODEL_NONE, NULL, NULL, NULL);
    chat_shot(&room, "welcome-none");
    CHECK_SOON(chat_says(room.view, "No Model Is Loaded"));
    fake_worker_set_model(room.worker, HEARTH_MODEL_LOADING, NULL, NULL, NULL);
    chat_shot(&room, "welcome-loading");
    CHECK_SOON(chat_says(room.view, "The Model Is Being Loaded"));
    fake_worker_set_model(room.worker, HEARTH_MODEL_FAILED, NULL, NULL,
                          "R1.gguf ends in the middle of a tensor. Download it again.");
    chat_shot(&room, "welcome-failed");
    CHECK_SOON(chat_says(room.view, "R1.gguf ends in the middle of a tensor."));
    fake_worker_set_model(room.worker, HEARTH_MODEL_READY, "/models/r1.gguf", "DeepSeek R1 <671B>",
                          NULL);
    chat_shot(&room, "welcome-other");
    CHECK_SOON(chat_says(room.view, "DeepSeek R1 <671B>"));
    CHECK(!chat_says(room.view, "What is Hearth?"));
    fake_worker_set_model(room.worker, HEARTH_MODEL_READY, NULL, "Ember", NULL);
    chat_click(room.view, "What is Hearth?");
    CHECK_INT(fake_worker_asked(room.worker), 1);
    CHECK_STR(hearth_message_get_content(chat_message(&room, 0), NULL), "What is Hearth?");
    chat_room_close(&room);
}

/* What is typed is not what an example asks. */
static void examples_leave_the_draft(void)
{
    chat_room_open(&room);
    chat_type(chat_field(&room), "half a thought");
    CHECK_SOON(chat_find(room.view, "GtkButton", "What is Hearth?") != NULL);
    chat_click(room.view, "What is Hearth?");
    CHECK_INT(chat_n_messages(&room), 2);
    CHECK_STR(hearth_conversation_get_draft(room.conversation), "half a thought");
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_room_close(&room);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"examples leave the draft", examples_leave_the_draft},
        {"sends and stops in one place", sends_and_stops_in_one_place},
        {"keeps drafts apart", keeps_drafts_apart},
        {"takes text files", takes_text_files},
        {"warns of what does not fit", warns_of_what_does_not_fit},
        {"refuses other files", refuses_other_files},
        {"takes what is dropped", takes_what_is_dropped},
        {"welcomes by the model", welcomes_by_the_model},
    };
    chat_begin();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
