#include "cli/talk/talk.h"

#include "cli/base/io.h"

typedef struct {
    const char *role; /* static */
    char *content;
    char *extra; /* JSON, or NULL */
} Message;

struct HearthTalk {
    EngModel *model;
    EngSession *session;
    EngSampling sampling;
    char *system;
    GArray *messages; /* of Message: user and assistant in turn */
    bool told;        /* that the GPU has failed */
};

static void clear_message(void *data)
{
    Message *message = data;
    g_free(message->content);
    g_free(message->extra);
}

HearthTalk *hearth_talk_new(const HearthLoad *load, int context, const EngSampling *sampling,
                            const char *system, GError **error)
{
    g_autoptr(HearthTalk) talk = g_new0(HearthTalk, 1);
    talk->messages = g_array_new(FALSE, FALSE, sizeof(Message));
    g_array_set_clear_func(talk->messages, clear_message);
    talk->system = g_strdup(system);
    talk->sampling = *sampling;
    talk->model = hearth_loader_open(load, NULL, error);
    if (!talk->model) return NULL;

    EngSessionSettings settings = eng_session_defaults();
    settings.context = context;
    EngError failure = {0};
    talk->session = eng_session_new(talk->model, &settings, &failure);
    if (!talk->session || !eng_session_sampler(talk->session, sampling, &failure)) {
        hearth_error_from_engine(error, &failure);
        return NULL;
    }
    return g_steal_pointer(&talk);
}

void hearth_talk_free(HearthTalk *talk)
{
    if (!talk) return;
    eng_session_free(talk->session);
    eng_model_free(talk->model);
    g_array_unref(talk->messages);
    g_free(talk->system);
    g_free(talk);
}

static bool start(HearthTalk *talk, GError **error)
{
    g_autofree EngMessage *all = g_new0(EngMessage, talk->messages->len + 1);
    size_t n = 0;
    if (talk->system && *talk->system) all[n++] = (EngMessage){"system", talk->system, NULL};
    for (guint i = 0; i < talk->messages->len; i++) {
        const Message *message = &g_array_index(talk->messages, Message, i);
        all[n++] = (EngMessage){message->role, message->content, message->extra};
    }
    EngError failure = {0};
    if (eng_session_prompt(talk->session, all, n, NULL, &failure)) return true;
    /* The message alone may well fit. */
    if (failure.code == ENG_ERR_CONTEXT && talk->messages->len > 1)
        return hearth_error(error, HEARTH_ERROR_REFUSED,
                            "With this message the conversation is longer than its context of %d "
                            "tokens: write a shorter one, begin another conversation with /new, or "
                            "start again with a larger --context.",
                            hearth_talk_stats(talk).context);
    return hearth_error_from_engine(error, &failure);
}

/* Whether a past thought is shown to the model again is the template's decision. */
static char *reasoning(const char *thinking)
{
    if (!*thinking) return NULL;
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "reasoning_content", thinking, -1);
    json_builder_end_object(out);
    g_autoptr(JsonNode) root = json_builder_get_root(out);
    return json_to_string(root, FALSE);
}

/* The last message is the user's; without an answer it goes again. */
static bool answer_last(HearthTalk *talk, HearthShow show, HearthAnswer *answer, GError **error)
{
    bool done = start(talk, error) && hearth_answer_run(answer, talk->session, show, error);
    if (!talk->told) talk->told = hearth_loader_tell_lost(talk->model);
    if (done && (answer->text->len || answer->thinking->len)) {
        Message message = {"assistant", g_strdup(answer->text->str),
                           reasoning(answer->thinking->str)};
        g_array_append_val(talk->messages, message);
    } else {
        g_array_set_size(talk->messages, talk->messages->len - 1);
    }
    return done;
}

bool hearth_talk_ask(HearthTalk *talk, const char *text, HearthShow show, HearthAnswer *answer,
                     GError **error)
{
    Message message = {"user", g_strdup(text), NULL};
    g_array_append_val(talk->messages, message);
    return answer_last(talk, show, answer, error);
}

bool hearth_talk_ask_again(HearthTalk *talk, HearthShow show, HearthAnswer *answer, GError **error)
{
    if (talk->messages->len < 2)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "There is no answer to replace yet: write a message first.");
    EngError failure = {0};
    if (talk->sampling.seed != ENG_SEED_RANDOM)
        talk->sampling.seed = (talk->sampling.seed + 1) % ENG_SEED_RANDOM;
    if (!eng_session_sampler(talk->session, &talk->sampling, &failure))
        return hearth_error_from_engine(error, &failure);
    g_array_set_size(talk->messages, talk->messages->len - 1);
    return answer_last(talk, show, answer, error);
}

void hearth_talk_forget(HearthTalk *talk) { g_array_set_size(talk->messages, 0); }

void hearth_talk_set_system(HearthTalk *talk, const char *system)
{
    g_free(talk->system);
    talk->system = g_strdup(system);
}

const EngModel *hearth_talk_model(const HearthTalk *talk) { return talk->model; }

EngStats hearth_talk_stats(const HearthTalk *talk) { return eng_session_stats(talk->session); }
