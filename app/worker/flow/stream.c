#include "worker/flow/stream.h"

#include <string.h>

#include "sync.h"

struct HearthStream {
    int refs; /* atomic */
    HearthWake *wake;

    GMutex lock;
    bool stopped;
    int *flag; /* or NULL */
    HearthNews news;
    GString *answer, *thinking; /* not taken yet */
};

void hearth_news_clear(HearthNews *news)
{
    g_free(news->model);
    g_clear_error(&news->error);
    *news = (HearthNews){0};
}

HearthStream *hearth_stream_new(HearthWake *wake, HearthState state)
{
    HearthStream *stream = g_new0(HearthStream, 1);
    stream->refs = 1;
    stream->wake = hearth_wake_ref(wake);
    g_mutex_init(&stream->lock);
    stream->news = (HearthNews){.state = state, .seconds_left = -1, .model = g_strdup("")};
    stream->answer = g_string_new(NULL);
    stream->thinking = g_string_new(NULL);
    return stream;
}

HearthStream *hearth_stream_ref(HearthStream *stream)
{
    g_atomic_int_inc(&stream->refs);
    return stream;
}

void hearth_stream_unref(HearthStream *stream)
{
    if (!stream || !g_atomic_int_dec_and_test(&stream->refs)) return;
    hearth_wake_unref(stream->wake);
    hearth_news_clear(&stream->news);
    g_string_free(stream->answer, TRUE);
    g_string_free(stream->thinking, TRUE);
    g_mutex_clear(&stream->lock);
    g_free(stream);
}

static bool has_ended(const HearthStream *stream)
{
    return !hearth_state_is_running(stream->news.state);
}

bool hearth_stream_is_wanted(HearthStream *stream)
{
    hearth_lock(&stream->lock);
    bool wanted = !stream->stopped && !has_ended(stream);
    hearth_unlock(&stream->lock);
    return wanted;
}

void hearth_stream_set_flag(HearthStream *stream, int *flag)
{
    hearth_lock(&stream->lock);
    stream->flag = flag;
    if (flag && stream->stopped) g_atomic_int_set(flag, 1);
    hearth_unlock(&stream->lock);
}

void hearth_stream_set_model(HearthStream *stream, const char *name)
{
    hearth_lock(&stream->lock);
    g_free(stream->news.model);
    stream->news.model = g_strdup(name);
    hearth_unlock(&stream->lock);
}

void hearth_stream_set_progress(HearthStream *stream, HearthState state, gint64 done, gint64 total,
                                double seconds_left)
{
    hearth_lock(&stream->lock);
    bool open = !has_ended(stream);
    if (open) {
        stream->news.state = state;
        stream->news.done = done;
        stream->news.total = total;
        stream->news.seconds_left = seconds_left;
    }
    hearth_unlock(&stream->lock);
    if (open) hearth_wake_ring(stream->wake);
}

void hearth_stream_set_state(HearthStream *stream, HearthState state)
{
    hearth_stream_set_progress(stream, state, 0, 0, -1);
}

/* A NUL would end the text for the store and the window, and what follows it would be lost. */
static void append(GString *to, const char *text, size_t len)
{
    for (const char *nul; (nul = memchr(text, 0, len));) {
        g_string_append_len(to, text, nul - text);
        g_string_append(to, "\xef\xbf\xbd");
        len -= (size_t)(nul + 1 - text);
        text = nul + 1;
    }
    g_string_append_len(to, text, (gssize)len);
}

void hearth_stream_add(HearthStream *stream, HearthState state, bool thinking, const char *text,
                       size_t len, const HearthStats *stats)
{
    hearth_lock(&stream->lock);
    bool open = !has_ended(stream);
    if (open) {
        stream->news.state = state;
        stream->news.stats = *stats;
        append(thinking ? stream->thinking : stream->answer, text, len);
    }
    hearth_unlock(&stream->lock);
    if (open) hearth_wake_ring(stream->wake);
}

static void end(HearthStream *stream, HearthState state, const HearthStats *stats, GError *error)
{
    stream->news.state = state;
    stream->news.seconds_left = -1;
    stream->news.error = error;
    if (stats) stream->news.stats = *stats;
}

void hearth_stream_end(HearthStream *stream, HearthState state, const HearthStats *stats,
                       GError *error)
{
    hearth_lock(&stream->lock);
    bool open = !has_ended(stream);
    if (open) end(stream, state, stats, error);
    hearth_unlock(&stream->lock);
    if (open)
        hearth_wake_ring(stream->wake);
    else
        g_clear_error(&error);
}

void hearth_stream_stop(HearthStream *stream)
{
    hearth_lock(&stream->lock);
    HearthState state = stream->news.state;
    bool waits = state == HEARTH_STATE_QUEUED || state == HEARTH_STATE_LOADING;
    stream->stopped = true;
    if (stream->flag) g_atomic_int_set(stream->flag, 1);
    if (waits) end(stream, HEARTH_STATE_STOPPED, NULL, NULL);
    hearth_unlock(&stream->lock);
    if (waits) hearth_wake_ring(stream->wake);
}

void hearth_stream_read(HearthStream *stream, HearthNews *ret_news)
{
    hearth_lock(&stream->lock);
    *ret_news = stream->news;
    ret_news->model = g_strdup(stream->news.model);
    ret_news->error = stream->news.error ? g_error_copy(stream->news.error) : NULL;
    hearth_unlock(&stream->lock);
}

static void move(GString *from, GString *to)
{
    if (!to) return;
    g_string_append_len(to, from->str, (gssize)from->len);
    g_string_truncate(from, 0);
}

void hearth_stream_take(HearthStream *stream, GString *answer, GString *thinking)
{
    hearth_lock(&stream->lock);
    move(stream->answer, answer);
    move(stream->thinking, thinking);
    hearth_unlock(&stream->lock);
}
