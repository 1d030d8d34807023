/* What a person does with messages: versions, editing, deleting, copying, moving among them. */
#include "test.h"

#include "chat_helper.h"

static ChatRoom room;

/* ---- acting on messages ---------------------------------------------------------------------- */

static void switches_versions(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Hearth?", "A hearth.");
    chat_click(chat_row_at(&room, 1), "Regenerate");
    CHECK_INT(chat_n_messages(&room), 2);
    chat_answer(&room, "A program.");
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    CHECK_SOON(chat_says(chat_row_at(&room, 1), "A program."));
    CHECK_SOON(chat_says(chat_row_at(&room, 1), "2/2"));
    chat_shot(&room, "versions");
    gtk_widget_grab_focus(chat_find(chat_row_at(&room, 1), "GtkButton", "Previous Version"));
    chat_click(chat_row_at(&room, 1), "Previous Version");
    CHECK_SOON(chat_says(chat_row_at(&room, 1), "A hearth."));
    CHECK_SOON(chat_says(chat_row_at(&room, 1), "1/2"));
    /* There is no version before: the focus is on the way back. */
    CHECK(gtk_widget_has_focus(chat_find(chat_row_at(&room, 1), "GtkButton", "Next Version")));
    chat_click(chat_row_at(&room, 1), "Next Version");
    CHECK_SOON(chat_says(chat_row_at(&room, 1), "A program."));
    chat_room_close(&room);
}

static void edits_in_place(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Heart?", "A muscle.");
    chat_click(chat_row_at(&room, 0), "Edit");
    GtkWidget *editor = chat_find(chat_row_at(&room, 0), "HearthMessageEditor", NULL);
    GtkWidget *field = editor ? chat_find(editor, "GtkTextView", NULL) : NULL;
    CHECK(field && gtk_widget_has_focus(field));
    chat_shot(&room, "edit");
    chat_key(field, GDK_KEY_Escape, 0);
    CHECK(!chat_find(chat_row_at(&room, 0), "HearthMessageEditor", NULL));
    CHECK_SOON(chat_says(chat_row_at(&room, 0), "What is Heart?"));
    /* Up in the empty composer does it too. */
    chat_key(GTK_WIDGET(chat_field(&room)), GDK_KEY_Up, 0);
    editor = chat_find(chat_row_at(&room, 0), "HearthMessageEditor", NULL);
    field = editor ? chat_find(editor, "GtkTextView", NULL) : NULL;
    gtk_text_buffer_set_text(gtk_text_view_get_buffer(GTK_TEXT_VIEW(field)), "What is Hearth?", -1);
    chat_key(field, GDK_KEY_Return, 0);
    CHECK_SOON(chat_says(chat_row_at(&room, 0), "What is Hearth?"));
    CHECK_INT(fake_worker_asked(room.worker), 2);
    chat_answer(&room, "A program.");
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    CHECK_SOON(chat_says(chat_row_at(&room, 0), "2/2"));
    chat_click(chat_row_at(&room, 0), "Previous Version");
    CHECK_SOON(chat_says(chat_row_at(&room, 1), "A muscle."));
    chat_room_close(&room);
}

/* What is begun is there again when its conversation is, in a window made anew too. */
static void keeps_what_is_begun(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Heart?", "A muscle.");
    HearthConversation *begun = room.conversation;
    chat_click(chat_row_at(&room, 0), "Edit");
    GtkWidget *field = chat_find(chat_row_at(&room, 0), "GtkTextView", NULL);
    gtk_text_buffer_set_text(gtk_text_view_get_buffer(GTK_TEXT_VIEW(field)), "What is Hea", -1);
    hearth_conversation_attach(begun, "notes.txt", "notes");
    CHECK_SOON(chat_count(room.view, "HearthChatChip") == 1);
    chat_shot(&room, "begun");
    HearthConversation *other = hearth_history_new_conversation(room.history, 0);
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view), other);
    CHECK_SOON(chat_count(room.view, "HearthChatChip") == 0);
    CHECK_SOON(!hearth_conversation_is_loaded(begun));
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view), begun);
    CHECK_SOON(chat_n_messages(&room) == 2);
    CHECK_SOON(chat_row_at(&room, 0) &&
               chat_find(chat_row_at(&room, 0), "HearthMessageEditor", NULL));
    CHECK_SOON(chat_count(room.view, "HearthChatChip") == 1);
    field = chat_find(chat_row_at(&room, 0), "GtkTextView", NULL);
    g_autofree char *text = field ? chat_text_of(GTK_TEXT_VIEW(field)) : NULL;
    CHECK_STR(text, "What is Hea");
    chat_room_close(&room);
}

static void deletes_with_undo(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Hearth?", "A program.");
    chat_ask_and_answer(&room, "And what is Ember?", "A model.");
    chat_click(chat_row_at(&room, 2), "Delete");
    CHECK_INT(chat_n_messages(&room), 2);
    chat_shot(&room, "deleted");
    CHECK_SOON(chat_says(room.window, "Message deleted"));
    chat_click(room.window, "Undo");
    CHECK_INT(chat_n_messages(&room), 4);
    CHECK_SOON(chat_says(chat_row_at(&room, 3), "A model."));
    chat_room_close(&room);
}

static void cuts_long_questions(void)
{
    chat_room_open(&room);
    GString *text = g_string_new("List:");
    for (int i = 1; i <= 40; i++) g_string_append_printf(text, "\nline %d", i);
    chat_ask_and_answer(&room, text->str, "Indeed.");
    CHECK_SOON(chat_says(chat_row_at(&room, 0), "line 11"));
    CHECK(!chat_says(chat_row_at(&room, 0), "line 13"));
    chat_shot(&room, "cut");
    chat_click(chat_row_at(&room, 0), "Show More");
    CHECK_SOON(chat_says(chat_row_at(&room, 0), "line 40"));
    chat_click(chat_row_at(&room, 0), "Show Less");
    CHECK(!chat_says(chat_row_at(&room, 0), "line 13"));
    g_string_free(text, TRUE);
    chat_room_close(&room);
}

static void copies_the_last_answer(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Hearth?", "A **program**.");
    hearth_chat_view_copy_last_answer(HEARTH_CHAT_VIEW(room.view));
    GdkContentProvider *content = gdk_clipboard_get_content(gtk_widget_get_clipboard(room.view));
    g_auto(GValue) value = G_VALUE_INIT;
    g_value_init(&value, G_TYPE_STRING);
    CHECK(content && gdk_content_provider_get_value(content, &value, NULL));
    CHECK_STR(g_value_get_string(&value), "A **program**.");
    chat_room_close(&room);
}

/* From the transcript, which is one stop, through its row's own stops to the composer, and back. */
static void moves_the_focus_in_order(void)
{
    chat_room_open(&room);
    chat_ask_and_answer(&room, "What is Hearth?", "A program.");
    chat_ask_and_answer(&room, "And Ember?", "A model.");
    gtk_widget_grab_focus(room.view);
    CHECK(gtk_widget_has_focus(GTK_WIDGET(chat_field(&room))));
    GtkWidget *row = chat_row_at(&room, 3);
    for (int i = 0; i < 4 && !gtk_widget_has_focus(row); i++)
        gtk_widget_child_focus(room.window, GTK_DIR_TAB_BACKWARD);
    CHECK(gtk_widget_has_focus(row));
    gtk_widget_child_focus(room.window, GTK_DIR_UP);
    CHECK(gtk_widget_has_focus(chat_row_at(&room, 2)));
    GtkWidget *copy = chat_find(chat_row_at(&room, 2), "GtkButton", "Copy");
    for (int i = 0; i < 3 && !gtk_widget_has_focus(copy); i++)
        gtk_widget_child_focus(room.window, GTK_DIR_TAB_FORWARD);
    CHECK(gtk_widget_has_focus(copy));
    for (int i = 0; i < 4 && !gtk_widget_has_focus(GTK_WIDGET(chat_field(&room))); i++)
        gtk_widget_child_focus(room.window, GTK_DIR_TAB_FORWARD);
    CHECK(gtk_widget_has_focus(GTK_WIDGET(chat_field(&room))));
    chat_room_close(&room);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"switches versions", switches_versions},
        {"edits in place", edits_in_place},
        {"keeps what is begun", keeps_what_is_begun},
        {"deletes with undo", deletes_with_undo},
        {"cuts long questions", cuts_long_questions},
        {"copies the last answer", copies_the_last_answer},
        {"moves the focus in order", moves_the_focus_in_order},
    };
    chat_begin();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
