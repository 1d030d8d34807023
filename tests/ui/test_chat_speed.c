/* How much the conversation view computes while an answer is being written. */
#include "test.h"

#include <sys/resource.h>
#include <time.h>

#include "chat_helper.h"

static ChatRoom room;

/* ---- speed ----------------------------------------------------------------------------------- */

/* A sanitizer slows all of it down. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 10
#else
#define SLOW 1
#endif

/* Between two beats of a source that is always due: how long the main loop was held up, and how
 * much of that it computed itself; the rest is the machine's other work. */
static double last_time, last_computed, longest, most_computed;

static double seconds_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static gboolean heart(void *data)
{
    (void)data;
    double time = seconds_of(CLOCK_MONOTONIC), computed = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    longest = MAX(longest, time - last_time);
    most_computed = MAX(most_computed, computed - last_computed);
    last_time = time;
    last_computed = computed;
    return G_SOURCE_CONTINUE;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static gboolean next_token(void *i)
{
    static const char *const words[] = {"the ",  "fox ",    "**runs** ", "over ", "a hill.\n\n",
                                        "then ", "`code` ", "and ",      "it ",   "sleeps "};
    const char *word = words[(*(int *)i)++ % 10];
    hearth_stream_add(fake_worker_stream(room.worker), HEARTH_STATE_ANSWERING, false, word,
                      strlen(word), &(HearthStats){0});
    return G_SOURCE_CONTINUE;
}

/* Waiting costs next to nothing, though something turns. */
static void waits_quietly(void)
{
    chat_room_open(&room);
    g_object_set(gtk_settings_get_default(), "gtk-enable-animations", TRUE, NULL);
    chat_ask(&room, "Think.");
    chat_think(&room, "A thought.");
    chat_spin(500);
    double begun = cpu_seconds();
    chat_spin(3000);
    double share = (cpu_seconds() - begun) / 3;
    printf("# thinking: %.1f %% of a core\n", 100 * share);
    CHECK(share < 0.15 * SLOW);
    g_object_set(gtk_settings_get_default(), "gtk-enable-animations", FALSE, NULL);
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_room_close(&room);
}

static void streams_without_stalls(void)
{
    GString *more = g_string_new(NULL);
    while (more->len < 30000) g_string_append(more, PARAGRAPH);
    chat_room_open_stored(&room, 20, more->str); /* 300 KB */
    g_string_free(more, TRUE);
    chat_room_show(&room);
    chat_spin(1000);
    chat_ask(&room, "More?");
    chat_spin(500);
    int tokens = 0;
    heart(NULL);
    longest = most_computed = 0;
    guint beat = g_timeout_add_full(G_PRIORITY_HIGH, 2, heart, NULL, NULL);
    guint writing = g_timeout_add(10, next_token, &tokens);
    double begun = cpu_seconds(), seconds = 5;
    chat_spin((int)(seconds * 1000));
    double share = (cpu_seconds() - begun) / seconds;
    g_source_remove(beat);
    g_source_remove(writing);
    printf("# %d tokens: longest stall %.0f ms, computed %.0f, %.1f %% of a core\n", tokens,
           1000 * longest, 1000 * most_computed, 100 * share);
    CHECK(most_computed < 0.05 * SLOW);
    CHECK(share < 0.15 * SLOW);
    chat_end(&room, HEARTH_STATE_DONE, NULL);
    chat_room_close(&room);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"waits quietly", waits_quietly},
        {"streams without stalls", streams_without_stalls},
    };
    chat_begin();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
