#include "worker/job.h"

#include "worker/job_stream.h"

/* Frames cost most of what an answer costs the main thread; text that comes in tenths of a second
 * still flows. A whole multiple of how often the gauges are told: both are one frame (wake.h). */
#define CHANGES_PER_SECOND 10

struct _HearthJob {
    GObject parent;
    HearthWake *wake;
    HearthStream *stream;
    HearthNews news; /* as of the last "changed" */
};

G_DEFINE_FINAL_TYPE(HearthJob, hearth_job, G_TYPE_OBJECT)

static guint changed_signal;

/* Reads the state before its owner takes the text: a final state means that all text is there. */
static void deliver(void *data)
{
    HearthJob *job = data;
    if (!hearth_state_is_running(job->news.state)) return;
    hearth_news_clear(&job->news);
    hearth_stream_read(job->stream, &job->news);
    g_object_ref(job);
    g_signal_emit(job, changed_signal, 0);
    g_object_unref(job);
}

/* A job that nobody holds is one whose answer nobody can read. */
static void hearth_job_dispose(GObject *object)
{
    HearthJob *job = HEARTH_JOB(object);
    if (job->stream) hearth_stream_stop(job->stream);
    if (job->wake) hearth_wake_close(job->wake);
    g_clear_pointer(&job->stream, hearth_stream_unref);
    g_clear_pointer(&job->wake, hearth_wake_unref);
    G_OBJECT_CLASS(hearth_job_parent_class)->dispose(object);
}

static void hearth_job_finalize(GObject *object)
{
    hearth_news_clear(&HEARTH_JOB(object)->news);
    G_OBJECT_CLASS(hearth_job_parent_class)->finalize(object);
}

static void hearth_job_class_init(HearthJobClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    object_class->dispose = hearth_job_dispose;
    object_class->finalize = hearth_job_finalize;
    changed_signal = g_signal_new("changed", HEARTH_TYPE_JOB, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 0);
}

static void hearth_job_init(HearthJob *job)
{
    job->wake = hearth_wake_new(CHANGES_PER_SECOND, deliver, job);
}

HearthJob *hearth_job_new(HearthState state)
{
    HearthJob *job = g_object_new(HEARTH_TYPE_JOB, NULL);
    job->stream = hearth_stream_new(job->wake, state);
    hearth_stream_read(job->stream, &job->news);
    return job;
}

HearthStream *hearth_job_get_stream(HearthJob *job) { return job->stream; }

void hearth_job_flush(HearthJob *job) { deliver(job); }

HearthState hearth_job_get_state(HearthJob *job) { return job->news.state; }

void hearth_job_get_progress(HearthJob *job, gint64 *ret_done, gint64 *ret_total,
                             double *ret_seconds_left)
{
    if (ret_done) *ret_done = job->news.done;
    if (ret_total) *ret_total = job->news.total;
    if (ret_seconds_left) *ret_seconds_left = job->news.seconds_left;
}

void hearth_job_take_text(HearthJob *job, GString *answer, GString *thinking)
{
    hearth_stream_take(job->stream, answer, thinking);
}

HearthStats hearth_job_get_stats(HearthJob *job) { return job->news.stats; }
const char *hearth_job_get_model(HearthJob *job) { return job->news.model; }
const GError *hearth_job_get_error(HearthJob *job) { return job->news.error; }

void hearth_job_stop(HearthJob *job) { hearth_stream_stop(job->stream); }
