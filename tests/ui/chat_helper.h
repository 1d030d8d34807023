/* A window with a HearthChatView over the real application, with the fake worker in it, and a way
 * to act and look like a person. With TEST_SHOTS=FOLDER each shot is written there as a picture
 * (TEST_SHOTS_SIZE=WIDTHxHEIGHT, TEST_SHOTS_MODE=rtl or large). */
#ifndef CHAT_HELPER_H
#define CHAT_HELPER_H

#include <adwaita.h>

#include "app.h"
#include "chat/chat_view.h"
#include "fake_worker.h"

#define PARAGRAPH                                                                                  \
    "The quick brown fox jumps over the lazy dog, and then it goes home and rests for a while, "   \
    "because a day has only so many hours and a fox has only so many legs to jump with.\n\n"

/* What the next frames show; the machine may have other things to do. */
#define CHECK_SOON(condition)                                                                      \
    do {                                                                                           \
        CHAT_WAIT(condition);                                                                      \
        CHECK(condition);                                                                          \
    } while (0)

typedef struct {
    HearthApp *app;
    HearthWorker *worker;
    HearthHistory *history;
    HearthConversation *conversation;
    GtkWidget *window, *overlay, *view;
} ChatRoom;

/* Once, at the beginning of main. */
void chat_begin(void);

/* An empty history, Ember loaded, a new conversation shown. */
void chat_room_open(ChatRoom *room);
/* One stored conversation of n messages (ids from 2 on), of which each answer has the text
 * "Answer N" and `more` in further paragraphs; it is not shown yet. */
void chat_room_open_stored(ChatRoom *room, int n, const char *more);
/* Shows it, and waits until it is drawn; how long that took, ms. */
double chat_room_show(ChatRoom *room);
void chat_room_close(ChatRoom *room);

void chat_spin(int ms);
/* Until the condition holds (the caller checks it again); gives up after 5 s. */
#define CHAT_WAIT(condition)                                                                       \
    for (int wait_ = 0; !(condition) && wait_ < 500; wait_++) chat_spin(10)

/* A visible widget by its type's name and its accessible label (NULL = any), in reading order. */
GtkWidget *chat_find(GtkWidget *in, const char *type, const char *label);
int chat_count(GtkWidget *in, const char *type);
/* A label whose text contains this is visible. */
bool chat_says(GtkWidget *in, const char *text);
void chat_click(GtkWidget *in, const char *label);

/* The composer's field, and keys in a field. */
GtkTextView *chat_field(ChatRoom *room);
void chat_type(GtkTextView *field, const char *text);
bool chat_key(GtkWidget *widget, guint keyval, GdkModifierType state);
char *chat_text_of(GtkTextView *field);

void chat_ask(ChatRoom *room, const char *text);
/* The answer that was asked for: text, thinking, and its end. */
void chat_answer(ChatRoom *room, const char *text);
void chat_think(ChatRoom *room, const char *text);
void chat_end(ChatRoom *room, HearthState state, const char *error);

/* Both, to the end. */
void chat_ask_and_answer(ChatRoom *room, const char *question, const char *answer);

/* Of the shown branch; borrowed. */
guint chat_n_messages(ChatRoom *room);
HearthMessage *chat_message(ChatRoom *room, guint i);

GtkAdjustment *chat_scroll_of(ChatRoom *room);

/* The row of a message (by its id; by its place in the branch), or NULL; and where its top is in
 * the view, px. */
GtkWidget *chat_row(ChatRoom *room, gint64 message);
GtkWidget *chat_row_at(ChatRoom *room, guint i);
double chat_row_top(ChatRoom *room, GtkWidget *row);

void chat_shot(ChatRoom *room, const char *name);

#endif
