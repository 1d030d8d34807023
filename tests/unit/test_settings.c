/* Settings: the file behind them, values that do not fit, a conversation's own ones. */
#include "settings.h"

#include <engine.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

#include "chat/options.h"
#include "test.h"

static char *folder; /* made for each test */

static char *file(void) { return g_build_filename(folder, "settings.ini", NULL); }

static void begin(void) { folder = g_dir_make_tmp("hearth-settings-XXXXXX", NULL); }

static void end(void)
{
    g_autofree char *path = file();
    g_remove(path);
    g_rmdir(folder);
    g_free(folder);
}

static void open_both(GSettings **settings, GSettings **chat)
{
    g_autofree char *path = file();
    g_autoptr(GError) error = NULL;
    CHECK_MSG(hearth_settings_open(path, settings, chat, &error), "%s", error->message);
}

static void check_private(void)
{
    g_autofree char *path = file();
    GStatBuf status;
    CHECK_INT(g_stat(path, &status), 0);
    CHECK_INT(status.st_mode & 077, 0);
}

static void noted(GObject *settings, GAsyncResult *result, void *data)
{
    (void)settings;
    (void)result;
    *(bool *)data = true;
}

/* A system prompt may say anything. */
static void is_private(void)
{
    begin();
    mode_t before = umask(0);
    GSettings *settings, *chat;
    open_both(&settings, &chat);
    bool done = false;
    hearth_settings_save_async(settings, noted, &done);
    while (!done) g_main_context_iteration(NULL, TRUE);
    check_private();
    g_autofree char *path = file();
    CHECK_INT(g_chmod(path, 0644), 0); /* as something else left it */
    hearth_settings_flush(settings);
    check_private();
    umask(before);
    g_object_unref(chat);
    g_object_unref(settings);
    end();
}

static void kept(void)
{
    begin();
    GSettings *settings, *chat;
    open_both(&settings, &chat);
    CHECK_INT(g_settings_get_int(settings, "sidebar-width"), 280);
    g_settings_set_int(settings, "sidebar-width", 333);
    g_settings_set_string(chat, "system-prompt", "Be brief; \"quote\" 中\nline");
    g_settings_set_double(chat, "temperature", 1.25);
    hearth_settings_flush(settings);
    g_object_unref(chat);
    g_object_unref(settings);

    open_both(&settings, &chat);
    CHECK_INT(g_settings_get_int(settings, "sidebar-width"), 333);
    g_autofree char *prompt = g_settings_get_string(chat, "system-prompt");
    CHECK_STR(prompt, "Be brief; \"quote\" 中\nline");
    CHECK(g_settings_get_double(chat, "temperature") == 1.25);
    g_settings_reset(chat, "temperature");
    hearth_settings_flush(settings);
    g_object_unref(settings);
    g_object_unref(chat);

    open_both(&settings, &chat);
    CHECK(g_settings_get_double(chat, "temperature") == 0.6);
    g_object_unref(chat);
    g_object_unref(settings);
    end();
}

static void count_up(GObject *source, GAsyncResult *result, void *n)
{
    (void)source;
    (void)result;
    ++*(int *)n;
}

static void saved_in_time(void)
{
    begin();
    GSettings *settings, *chat;
    open_both(&settings, &chat);
    g_autofree char *path = file();
    int saved = 0;
    for (int i = 0; i < 5; i++) { /* each save sees what was set before it, also while one runs */
        g_settings_set_int(settings, "threads", i);
        hearth_settings_save_async(settings, count_up, &saved);
    }
    while (saved < 5) g_main_context_iteration(NULL, TRUE);
    g_autofree char *text = NULL;
    CHECK(g_file_get_contents(path, &text, NULL, NULL));
    CHECK(text && strstr(text, "threads=4"));
    g_object_unref(chat);
    g_object_unref(settings);
    end();
}

/* A file made by hand or by another version: what fits counts, the rest stays in the file. */
static void odd_file(void)
{
    begin();
    g_autofree char *path = file();
    static const char odd[] = "[hearth]\nsidebar-width=-5\nwindow-width='text'\nthreads=7\n"
                              "from-the-future=[1, 2]\ncolor-scheme='mauve'\n"
                              "[chat]\ntop-p=nonsense\n[other]\nx=1\n";
    g_file_set_contents(path, odd, -1, NULL);
    GSettings *settings, *chat;
    open_both(&settings, &chat);
    CHECK_INT(g_settings_get_int(settings, "sidebar-width"), 280);
    CHECK_INT(g_settings_get_int(settings, "window-width"), 1180);
    CHECK_INT(g_settings_get_int(settings, "threads"), 7);
    g_settings_set_boolean(settings, "notify", FALSE);
    hearth_settings_flush(settings);
    g_autofree char *text = NULL;
    g_file_get_contents(path, &text, NULL, NULL);
    CHECK(strstr(text, "from-the-future=[1, 2]"));
    CHECK(strstr(text, "[other]"));
    CHECK(strstr(text, "notify=false"));
    g_object_unref(chat);
    g_object_unref(settings);
    g_file_set_contents(path, "\xff\xfe not a key file", -1, NULL);
    open_both(&settings, &chat);
    CHECK_INT(g_settings_get_int(settings, "threads"), 0);
    g_object_unref(settings);
    g_object_unref(chat);
    end();
}

static void of_conversation(void)
{
    begin();
    GSettings *settings, *chat;
    open_both(&settings, &chat);
    g_autoptr(GSettings) own = hearth_settings_of_conversation("");
    g_autofree char *nothing = hearth_settings_to_json(own);
    CHECK_STR(nothing, "");
    g_settings_set_double(own, "temperature", 1);
    g_settings_set_string(own, "system-prompt", "own \"words\"");
    g_settings_set_int64(own, "seed", G_MAXINT64);
    g_autofree char *json = hearth_settings_to_json(own);
    g_autoptr(GSettings) again = hearth_settings_of_conversation(json);
    g_autofree char *second = hearth_settings_to_json(again);
    CHECK_STR(second, json);
    CHECK(g_settings_get_int64(again, "seed") == G_MAXINT64);

    g_settings_set_int(chat, "top-k", 7);
    g_autoptr(GVariant) top_k = hearth_settings_effective(own, chat, "top-k");
    CHECK_INT(g_variant_get_int32(top_k), 7);
    g_autoptr(GVariant) temperature = hearth_settings_effective(own, chat, "temperature");
    CHECK(g_variant_get_double(temperature) == 1);

    static const char *const odd[] = {"{",
                                      "[]",
                                      "3",
                                      "{\"temperature\":\"warm\"}",
                                      "{\"temperature\":99}",
                                      "{\"nothing\":1}",
                                      "{\"seed\":{}}",
                                      "{\"top-k\":null}",
                                      "{\"top-k\":[1]}"};
    for (size_t i = 0; i < TEST_COUNT(odd); i++) {
        g_autoptr(GSettings) one = hearth_settings_of_conversation(odd[i]);
        g_autofree char *left = hearth_settings_to_json(one);
        CHECK_STR(left, "");
    }
    g_object_unref(chat);
    g_object_unref(settings);
    end();
}

/* What the schema says when nobody chose is what the engine says. */
static void defaults_agree(void)
{
    begin();
    GSettings *settings, *chat;
    open_both(&settings, &chat);
    g_autoptr(HearthRequest) request = hearth_request_new();
    hearth_options_fill(request, NULL, chat, 1);
    EngSampling ours = request->sampling, engine = eng_sampling_defaults();
    CHECK(ours.temperature == engine.temperature && ours.top_k == engine.top_k);
    CHECK(ours.top_p == engine.top_p && ours.min_p == engine.min_p);
    CHECK(ours.typical_p == engine.typical_p && ours.repeat_penalty == engine.repeat_penalty);
    CHECK(ours.presence_penalty == engine.presence_penalty);
    CHECK(ours.frequency_penalty == engine.frequency_penalty);
    CHECK(ours.penalty_last_n == engine.penalty_last_n && ours.seed == engine.seed);
    CHECK(ours.dry_multiplier == engine.dry_multiplier && ours.dry_base == engine.dry_base);
    CHECK(ours.dry_allowed_length == engine.dry_allowed_length);
    CHECK(ours.max_tokens == engine.max_tokens);
    CHECK_INT(request->context, 0);
    CHECK_INT(request->kv, ENG_KV_F16);
    CHECK(g_settings_set_string(chat, "kv-type", "q8_0"));
    hearth_options_fill(request, NULL, chat, 1);
    CHECK_INT(request->kv, ENG_KV_Q8_0);
    CHECK(g_settings_set_string(chat, "kv-type", "f32"));
    hearth_options_fill(request, NULL, chat, 1);
    CHECK_INT(request->kv, ENG_KV_F32);
    g_settings_set_int64(chat, "seed", 40);
    hearth_options_fill(request, NULL, chat, 3);
    CHECK_INT(request->sampling.seed, 42);
    g_object_unref(chat);
    g_object_unref(settings);
    end();
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"is private", is_private},
        {"kept in the file", kept},
        {"saved when it was asked for", saved_in_time},
        {"a file that does not fit", odd_file},
        {"a conversation's own", of_conversation},
        {"defaults agree with the engine's", defaults_agree},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
