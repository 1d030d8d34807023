/* The conversation view over the real application, with answers that the test writes: what is shown
 * of it, and what of it has widgets. */
#include "test.h"

#include <time.h>

#include "chat_helper.h"
#include "chat/message/view.h"
#include "chat/transcript.h"

#define LONG_ANSWER                                                                                \
    "Hearth keeps the **experts** of a model in main memory and the rest in the graphics "         \
    "card.\n\n"                                                                                    \
    "1. Attention and the shared experts stay on the card.\n"                                      \
    "2. Routed experts are computed where they lie.\n\n"                                           \
    "```c\nint main(void) { return 0; }\n```\n\nThat is *all* there is to it."
static ChatRoom room;

static double main_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- states ---------------------------------------------------------------------------------- */

static void shows_how_far_it_is(void)
{
    chat_room_open(&room);
    chat_ask(&room, "How does Hearth run a model that is larger than the card's memory?");
    chat_shot(&room, "queued");
    CHECK_SOON(chat_says(room.view, "Waits for another answer"));
    HearthStream *stream = fake_worker_stream(room.worker);
    fake_worker_set_speed(room.worker, 412.0 * 1048576);
    hearth_stream_set_progress(stream, HEARTH_STATE_LOADING, 37, 100, -1);
    fake_worker_flush(room.worker);
    chat_spin(50);
    chat_shot(&room, "loading");
    CHECK_SOON(chat_says(room.view, "Loading the model: 37 % · 412 MiB/s"));
    CHECK_SOON(chat_find(room.view, "GtkButton", "Cancel") != NULL);
    hearth_stream_set_progress(stream, HEARTH_STATE_READING, 3120, 5004, 48);
    fake_worker_flush(room.worker);
    chat_spin(50);
    chat_shot(&room, "reading");
    CHECK_SOON(
        chat_says(room.view, "Reading the prompt: 3,120 of 5,004 tokens · 62 % · 48 s left"));
    chat_room_close(&room);
}

static void shows_thinking_and_answer(void)
{
    chat_room_open(&room);
    chat_ask(&room, "How does Hearth run a model that is larger than the card's memory?");
    chat_think(&room, "The person asks how Hearth runs a large model.\nFirst I should say where "
                      "the experts lie. Then I should say what the graphics card does, and why "
                      "that is fast enough to be of use to somebody who has only one of them.\n"
                      "Then I answer.");
    chat_spin(1200);
    chat_shot(&room, "thinking");
    CHECK_SOON(chat_says(room.view, "Thinking… 1 s"));
    CHECK_SOON(chat_says(room.view, "Then I answer."));
    CHECK_SOON(chat_find(room.view, "HearthMessageView", "Answer: ") != NULL);
    chat_answer(&room, LONG_ANSWER);
    chat_shot(&room, "answering");
    CHECK(!chat_says(room.view, "Thinking…"));
    CHECK_SOON(chat_says(room.view, "Thought for "));
    CHECK(!chat_says(room.view, "Thought for 41 s"));
    CHECK_SOON(
        chat_find(room.view, "HearthMessageView",
                  "Answer: Hearth keeps the experts of a model in main memory and the rest in "
                  "the graphics card.") != NULL);
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_shot(&room, "done");
    CHECK_SOON(chat_says(room.view, "Thought for 41 s"));
    CHECK_SOON(chat_says(room.view, "9.8 tok/s · 1,204 tokens · first token 71 s · finished"));
    g_settings_set_boolean(hearth_app_get_settings(room.app), "show-statistics", FALSE);
    chat_spin(50);
    CHECK(!chat_says(room.view, "9.8 tok/s"));
    chat_room_close(&room);
}

/* The state that an answer ends in, the sentence, and the button; what the button does. */
static void check_end(HearthState state, const char *error, const char *sentence,
                      const char *button, const char *shot)
{
    chat_room_open(&room);
    fake_worker_set_context(room.worker, 1000, 4096);
    chat_ask(&room, "What is Hearth?");
    chat_answer(&room, "Hearth is a program that runs");
    chat_end(&room, state, error);
    chat_shot(&room, shot);
    CHECK_MSG(chat_says(room.view, sentence), "%s is not said", sentence);
    GtkWidget *status = chat_find(room.view, "HearthMessageStatus", NULL);
    int asked = fake_worker_asked(room.worker);
    CHECK(status && chat_find(status, "GtkButton", button) != NULL);
    if (status && state != HEARTH_STATE_CONTEXT_FULL) {
        chat_click(status, button);
        CHECK_INT(fake_worker_asked(room.worker), asked + 1);
        CHECK_INT(chat_n_messages(&room), 2);
        CHECK(!chat_says(room.view, sentence));
    }
    chat_room_close(&room);
}

static void offers_what_helps(void)
{
    check_end(HEARTH_STATE_STOPPED, NULL, "Stopped", "Continue", "stopped");
    check_end(HEARTH_STATE_LENGTH, NULL, "Reached the limit of 1,204 tokens", "Continue", "length");
    check_end(HEARTH_STATE_INTERRUPTED, NULL, "Hearth was closed in mid-answer", "Continue",
              "interrupted");
    check_end(HEARTH_STATE_FAILED, "The graphics card is gone. Load the model again.",
              "The graphics card is gone.", "Retry", "failed");
    check_end(HEARTH_STATE_CONTEXT_FULL,
              "The conversation has 4,200 tokens and the context 4,096. Make the context larger or "
              "begin a new conversation.",
              "4,200 tokens", "Larger Context…", "context-full");
}

static void folds_thinking_as_the_person_wants(void)
{
    chat_room_open(&room);
    chat_ask(&room, "Think.");
    chat_think(&room, "A thought.");
    GtkWidget *thinking = chat_find(room.view, "HearthMessageThinking", NULL);
    CHECK_SOON(chat_count(thinking, "HearthMessagePeek") == 1);
    chat_click(thinking, NULL);
    CHECK_SOON(chat_count(thinking, "HearthMessagePeek") == 0);
    CHECK_SOON(chat_count(thinking, "HearthMarkdownView") == 1);
    chat_answer(&room, "Done.");
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_shot(&room, "thinking-open");
    CHECK(gtk_revealer_get_reveal_child(GTK_REVEALER(chat_find(thinking, "GtkRevealer", NULL))));
    /* Another row of the same message. */
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view),
                                      hearth_history_new_conversation(room.history, 0));
    chat_spin(30);
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view), room.conversation);
    CHAT_WAIT(chat_find(room.view, "HearthMessageThinking", NULL));
    thinking = chat_find(room.view, "HearthMessageThinking", NULL);
    CHECK(gtk_revealer_get_reveal_child(GTK_REVEALER(chat_find(thinking, "GtkRevealer", NULL))));
    chat_click(thinking, NULL);
    CHECK(!gtk_revealer_get_reveal_child(GTK_REVEALER(chat_find(thinking, "GtkRevealer", NULL))));
    chat_room_close(&room);
}

/* ---- the window over the messages ------------------------------------------------------------ */

static guint rows(void)
{
    guint first, n;
    GtkWidget *transcript = chat_find(room.view, "HearthChatTranscript", NULL);
    hearth_chat_transcript_get_window(HEARTH_CHAT_TRANSCRIPT(transcript), &first, &n);
    return n;
}

static void press(guint keyval)
{
    chat_key(GTK_WIDGET(chat_field(&room)), keyval, 0);
    chat_spin(60);
}

static double end_of(GtkAdjustment *adjustment)
{
    return gtk_adjustment_get_upper(adjustment) - gtk_adjustment_get_page_size(adjustment);
}

static void opens_long_conversations_at_once(void)
{
    chat_room_open_stored(&room, 10000, PARAGRAPH PARAGRAPH);
    double begun = main_seconds(), ms = chat_room_show(&room);
    double computed = 1000 * (main_seconds() - begun);
    printf("# 10,000 messages: %.0f ms, of which the main thread computed %.0f\n", ms, computed);
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(computed < 500); /* the benches hold it to less */
#endif
    CHECK(rows() <= 12);
    chat_spin(300);
    printf("# %u rows after a while\n", rows());
    CHECK(rows() >= 12 && rows() <= 46);
    GtkAdjustment *scroll = chat_scroll_of(&room);
    CHECK_SOON(gtk_adjustment_get_value(scroll) >= end_of(scroll) - 1);
    GtkWidget *last = chat_row(&room, 10001);
    CHECK(last && chat_row_top(&room, last) < gtk_adjustment_get_page_size(scroll));
    chat_shot(&room, "long");
    press(GDK_KEY_Home);
    CHECK(chat_row(&room, 2) && chat_row_top(&room, chat_row(&room, 2)) >= 0);
    CHECK(gtk_adjustment_get_value(scroll) == 0);
    chat_spin(200);
    CHECK(gtk_adjustment_get_value(scroll) == 0);
    CHECK(rows() <= 46);
    press(GDK_KEY_End);
    CHECK_SOON(chat_row(&room, 10001) != NULL);
    CHECK_SOON(gtk_adjustment_get_value(scroll) >= end_of(scroll) - 1);
    hearth_chat_view_show_message(HEARTH_CHAT_VIEW(room.view), 5001);
    chat_spin(200);
    CHECK_SOON(chat_row(&room, 5001) != NULL);
    if (chat_row(&room, 5001)) CHECK_INT(chat_row_top(&room, chat_row(&room, 5001)), 24);
    chat_room_close(&room);
}

static GtkWidget *first_in_view(void)
{
    GtkWidget *row = gtk_widget_get_first_child(chat_find(room.view, "HearthChatColumn", NULL));
    while (row && chat_row_top(&room, row) < 0) row = gtk_widget_get_next_sibling(row);
    return row;
}

/* Until nothing moves any more: what is not in view is built when there is time. */
static void come_to_rest(void)
{
    GtkAdjustment *scroll = chat_scroll_of(&room);
    double end = -1, value = -1;
    for (int i = 0; i < 100 && (end != end_of(scroll) || value != gtk_adjustment_get_value(scroll));
         i++) {
        end = end_of(scroll);
        value = gtk_adjustment_get_value(scroll);
        chat_spin(300);
    }
}

/* Scrolling up through the messages: what was in view is where the scrolling put it, to the pixel,
 * however many rows come above and go below. */
static void keeps_its_place_while_rows_come_and_go(void)
{
    chat_room_open_stored(&room, 400, PARAGRAPH PARAGRAPH PARAGRAPH);
    chat_room_show(&room);
    come_to_rest();
    GtkAdjustment *scroll = chat_scroll_of(&room);
    guint most = 0;
    for (int i = 0; i < 120; i++) {
        GtkWidget *seen = first_in_view();
        double before = chat_row_top(&room, seen), value = gtk_adjustment_get_value(scroll);
        int by = test_range(40, 400);
        if (i > 80) by = -by;
        if (value < by || value - by > end_of(scroll)) break;
        gtk_adjustment_set_value(scroll, value - by);
        CHAT_WAIT(chat_row_top(&room, seen) != before);
        chat_spin(30);
        double moved = chat_row_top(&room, seen) - before;
        CHECK_MSG(moved == by, "step %d moved by %g, not %d", i, moved, by);
        most = MAX(most, rows());
    }
    printf("# at most %u rows\n", most);
    CHECK(most <= 60);
    chat_room_close(&room);
}

static void follows_only_at_the_end(void)
{
    chat_room_open_stored(&room, 40, PARAGRAPH PARAGRAPH);
    chat_room_show(&room);
    chat_spin(200);
    chat_ask(&room, "More?");
    GtkAdjustment *scroll = chat_scroll_of(&room);
    for (int i = 0; i < 20; i++) {
        chat_answer(&room, PARAGRAPH);
        CHECK_SOON(gtk_adjustment_get_value(scroll) >= end_of(scroll) - 1);
    }
    CHECK(!chat_find(room.view, "GtkButton", "Jump to Bottom"));
    gtk_adjustment_set_value(scroll, end_of(scroll) - 700);
    chat_spin(50);
    CHECK_SOON(chat_find(room.view, "GtkButton", "Jump to Bottom") != NULL);
    double value = gtk_adjustment_get_value(scroll);
    for (int i = 0; i < 10; i++) chat_answer(&room, PARAGRAPH);
    CHECK(gtk_adjustment_get_value(scroll) == value);
    CHECK(end_of(scroll) > value + 700);
    chat_shot(&room, "scrolled-up");
    chat_click(room.view, "Jump to Bottom");
    chat_spin(50);
    CHECK_SOON(gtk_adjustment_get_value(scroll) >= end_of(scroll) - 1);
    chat_answer(&room, PARAGRAPH);
    CHECK_SOON(gtk_adjustment_get_value(scroll) >= end_of(scroll) - 1);
    CHECK(!chat_find(room.view, "GtkButton", "Jump to Bottom"));
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_room_close(&room);
}

static void comes_back_to_the_place(void)
{
    chat_room_open_stored(&room, 200, PARAGRAPH PARAGRAPH);
    chat_room_show(&room);
    chat_spin(200);
    for (int i = 0; i < 4; i++) press(GDK_KEY_Page_Up);
    GtkWidget *row = first_in_view();
    gint64 id = hearth_message_get_id(hearth_message_view_get_message(HEARTH_MESSAGE_VIEW(row)));
    double top = chat_row_top(&room, row);
    hearth_chat_view_set_conversation(HEARTH_CHAT_VIEW(room.view),
                                      hearth_history_new_conversation(room.history, 0));
    chat_spin(50);
    chat_room_show(&room);
    chat_spin(200);
    CHAT_WAIT((row = chat_row(&room, id)) && chat_row_top(&room, row) == top);
    CHECK_MSG(row && chat_row_top(&room, row) == top, "at %g, not %g",
              row ? chat_row_top(&room, row) : -1, top);
    chat_room_close(&room);
}

static void wraps_code_as_the_settings_say(void)
{
    chat_room_open(&room);
    g_settings_set_boolean(hearth_app_get_settings(room.app), "wrap-code", TRUE);
    chat_ask_and_answer(&room, "Show me code", LONG_ANSWER);
    GtkWidget *wrap = NULL;
    CHAT_WAIT((wrap = chat_find(room.view, "GtkToggleButton", "Wrap Lines")));
    CHECK(wrap && gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(wrap)));
    g_settings_set_boolean(hearth_app_get_settings(room.app), "wrap-code", FALSE);
    CHECK(wrap && !gtk_toggle_button_get_active(GTK_TOGGLE_BUTTON(wrap)));
    chat_room_close(&room);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"shows how far it is", shows_how_far_it_is},
        {"shows thinking and answer", shows_thinking_and_answer},
        {"offers what helps at each end", offers_what_helps},
        {"folds thinking as the person wants", folds_thinking_as_the_person_wants},
        {"opens long conversations at once", opens_long_conversations_at_once},
        {"keeps its place while rows come and go", keeps_its_place_while_rows_come_and_go},
        {"follows only at the end", follows_only_at_the_end},
        {"comes back to the place", comes_back_to_the_place},
        {"wraps code as the settings say", wraps_code_as_the_settings_say},
    };
    chat_begin();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
