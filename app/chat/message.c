#include "chat/message_private.h"

struct _HearthMessage {
    GObject parent_instance;
    HearthMessageRow row; /* content and thinking: borrowed from the strings below */
    GString *content, *thinking;
    gint64 thinking_since; /* monotonic, µs; 0 = does not think now */
    gint64 done, total;
    double seconds_left;
    int version, n_versions;
};

G_DEFINE_FINAL_TYPE(HearthMessage, hearth_message, G_TYPE_OBJECT)

enum {
    PROP_STATE = 1,
    PROP_CONTENT,
    PROP_THINKING,
    PROP_PROGRESS,
    PROP_VERSION,
    PROP_N_VERSIONS,
    N_PROPS
};
static GParamSpec *props[N_PROPS];

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    HearthMessage *m = HEARTH_MESSAGE(object);
    switch (id) {
    case PROP_STATE: g_value_set_int(value, m->row.state); break;
    case PROP_CONTENT: g_value_set_string(value, m->content->str); break;
    case PROP_THINKING: g_value_set_string(value, m->thinking->str); break;
    case PROP_PROGRESS:
        g_value_set_double(value, m->total > 0 ? (double)m->done / (double)m->total : 0);
        break;
    case PROP_VERSION: g_value_set_int(value, m->version); break;
    case PROP_N_VERSIONS: g_value_set_int(value, m->n_versions); break;
    default: G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
    }
}

static void finalize(GObject *object)
{
    HearthMessage *m = HEARTH_MESSAGE(object);
    g_string_free(m->content, TRUE);
    g_string_free(m->thinking, TRUE);
    g_free(m->row.model);
    g_free(m->row.error);
    G_OBJECT_CLASS(hearth_message_parent_class)->finalize(object);
}

static void hearth_message_class_init(HearthMessageClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
    object->get_property = get_property;
    object->finalize = finalize;
    props[PROP_STATE] =
        g_param_spec_int("state", NULL, NULL, 0, G_MAXINT, HEARTH_STATE_DONE, flags);
    props[PROP_CONTENT] = g_param_spec_string("content", NULL, NULL, "", flags);
    props[PROP_THINKING] = g_param_spec_string("thinking", NULL, NULL, "", flags);
    props[PROP_PROGRESS] = g_param_spec_double("progress", NULL, NULL, 0, 1, 0, flags);
    props[PROP_VERSION] = g_param_spec_int("version", NULL, NULL, 1, G_MAXINT, 1, flags);
    props[PROP_N_VERSIONS] = g_param_spec_int("n-versions", NULL, NULL, 1, G_MAXINT, 1, flags);
    g_object_class_install_properties(object, N_PROPS, props);
}

static void hearth_message_init(HearthMessage *m)
{
    m->version = m->n_versions = 1;
    m->seconds_left = -1;
}

HearthMessage *hearth_message_new(const HearthMessageRow *row)
{
    HearthMessage *m = g_object_new(HEARTH_TYPE_MESSAGE, NULL);
    m->row = *row;
    m->content = g_string_new(row->content);
    m->thinking = g_string_new(row->thinking);
    m->row.model = g_strdup(row->model ? row->model : "");
    m->row.error = g_strdup(row->error ? row->error : "");
    return m;
}

const HearthMessageRow *hearth_message_get_row(HearthMessage *m)
{
    m->row.content = m->content->str;
    m->row.thinking = m->thinking->str;
    return &m->row;
}

GString *hearth_message_edit_content(HearthMessage *m) { return m->content; }
GString *hearth_message_edit_thinking(HearthMessage *m) { return m->thinking; }

static void notify(HearthMessage *m, int prop)
{
    g_object_notify_by_pspec(G_OBJECT(m), props[prop]);
}

void hearth_message_touched(HearthMessage *m, bool content, bool thinking)
{
    if (thinking) notify(m, PROP_THINKING);
    if (content) notify(m, PROP_CONTENT);
}

void hearth_message_set_state(HearthMessage *m, HearthState state)
{
    if (m->row.state == state) return;
    /* Until the worker's numbers come with the end of the answer. */
    if (m->thinking_since && hearth_state_is_running(state))
        m->row.stats.thinking_s += hearth_message_get_thinking_seconds(m);
    m->row.state = state;
    m->thinking_since = state == HEARTH_STATE_THINKING ? g_get_monotonic_time() : 0;
    notify(m, PROP_STATE);
}

void hearth_message_set_progress(HearthMessage *m, gint64 done, gint64 total, double seconds_left)
{
    if (m->done == done && m->total == total && m->seconds_left == seconds_left) return;
    m->done = done;
    m->total = total;
    m->seconds_left = seconds_left;
    notify(m, PROP_PROGRESS);
}

void hearth_message_set_stats(HearthMessage *m, const HearthStats *stats) { m->row.stats = *stats; }

void hearth_message_set_model(HearthMessage *m, const char *model)
{
    if (g_strcmp0(m->row.model, model) == 0) return;
    g_free(m->row.model);
    m->row.model = g_strdup(model);
}

void hearth_message_set_error(HearthMessage *m, const char *error)
{
    g_free(m->row.error);
    m->row.error = g_strdup(error ? error : "");
}

void hearth_message_set_version(HearthMessage *m, int version, int n_versions)
{
    bool moved = m->version != version, more = m->n_versions != n_versions;
    m->version = version;
    m->n_versions = n_versions;
    if (moved) notify(m, PROP_VERSION);
    if (more) notify(m, PROP_N_VERSIONS);
}

gint64 hearth_message_get_id(HearthMessage *m) { return m->row.id; }
HearthRole hearth_message_get_role(HearthMessage *m) { return m->row.role; }
HearthState hearth_message_get_state(HearthMessage *m) { return m->row.state; }
const char *hearth_message_get_model(HearthMessage *m) { return m->row.model; }
const char *hearth_message_get_error(HearthMessage *m) { return m->row.error; }
HearthStats hearth_message_get_stats(HearthMessage *m) { return m->row.stats; }
int hearth_message_get_version(HearthMessage *m) { return m->version; }
int hearth_message_get_n_versions(HearthMessage *m) { return m->n_versions; }

const char *hearth_message_get_content(HearthMessage *m, size_t *ret_len)
{
    if (ret_len) *ret_len = m->content->len;
    return m->content->str;
}

const char *hearth_message_get_thinking(HearthMessage *m, size_t *ret_len)
{
    if (ret_len) *ret_len = m->thinking->len;
    return m->thinking->str;
}

void hearth_message_get_progress(HearthMessage *m, gint64 *ret_done, gint64 *ret_total,
                                 double *ret_seconds_left)
{
    if (ret_done) *ret_done = m->done;
    if (ret_total) *ret_total = m->total;
    if (ret_seconds_left) *ret_seconds_left = m->seconds_left;
}

double hearth_message_get_thinking_seconds(HearthMessage *m)
{
    if (!m->thinking_since) return m->row.stats.thinking_s;
    return (double)(g_get_monotonic_time() - m->thinking_since) / G_USEC_PER_SEC;
}
