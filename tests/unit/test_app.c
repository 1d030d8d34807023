/* The program without its windows: which model it opens, and what it remembers of that. */
#include <glib/gstdio.h>

#include "app.h"
#include "error.h"
#include "models/ember.h"
#include "test.h"

static char *folder;

static char *data_file(const char *name) { return g_build_filename(folder, name, NULL); }

static char *model_file(const char *name)
{
    size_t size;
    const void *data = hearth_ember_data(&size);
    char *path = data_file(name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, size, file) == size);
    if (file) fclose(file);
    return path;
}

static HearthApp *begin(void)
{
    folder = g_dir_make_tmp("hearth-app-XXXXXX", NULL);
    g_setenv("HEARTH_DATA_DIR", folder, TRUE);
    g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
    g_autoptr(GError) error = NULL;
    HearthApp *app = hearth_app_new(&error);
    CHECK_MSG(app, "%s", error ? error->message : "?");
    return app;
}

static void end(HearthApp *app)
{
    hearth_app_close(app);
    g_object_unref(app);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = data_file(name);
        g_remove(path);
    }
    g_rmdir(folder);
    g_free(folder);
}

/* False after a minute. */
static bool wait_for(HearthApp *app, HearthModelState state, const char *path)
{
    gint64 late = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;
    while (g_get_monotonic_time() < late) {
        g_autofree char *now = NULL;
        g_object_get(hearth_app_get_worker(app), "path", &now, NULL);
        if (hearth_worker_get_state(hearth_app_get_worker(app)) == state &&
            g_strcmp0(now, path) == 0)
            return true;
        if (!g_main_context_iteration(NULL, FALSE)) g_usleep(1000);
    }
    return false;
}

static char *setting(HearthApp *app, const char *key)
{
    return g_settings_get_string(hearth_app_get_settings(app), key);
}

/* The one before becomes ready while the file is being told of this one. */
static void opens_one_while_another_ends_loading(void)
{
    HearthApp *app = begin();
    g_autofree char *path = model_file("other.gguf");
    hearth_app_open_model(app, NULL);
    g_usleep(2 * G_USEC_PER_SEC); /* it is ready; the main loop has not heard of it */
    hearth_app_open_model(app, path);
    g_autofree char *loading = setting(app, "loading-model");
    CHECK_STR(loading, path);
    CHECK(wait_for(app, HEARTH_MODEL_READY, path));
    g_autofree char *last = setting(app, "last-model"), *left = setting(app, "loading-model");
    CHECK_STR(last, path);
    CHECK_STR(left, "");
    end(app);
}

static void opens_the_last_one_asked_for(void)
{
    HearthApp *app = begin();
    g_autofree char *path = model_file("other.gguf"), *none = data_file("none.gguf");
    hearth_app_open_model(app, none);
    hearth_app_open_model(app, path);
    CHECK(wait_for(app, HEARTH_MODEL_READY, path));
    hearth_app_open_model(app, path);
    hearth_app_open_model(app, NULL);
    CHECK(wait_for(app, HEARTH_MODEL_READY, ""));
    g_autofree char *last = setting(app, "last-model");
    CHECK_STR(last, "");
    end(app);
}

static void take_notice(HearthApp *app, const char *sentence, char **ret)
{
    (void)app;
    g_free(*ret);
    *ret = g_strdup(sentence);
}

static void tells_why_the_model_before_stays(void)
{
    HearthApp *app = begin();
    g_autofree char *path = model_file("other.gguf"), *none = data_file("none.gguf"), *said = NULL;
    g_signal_connect(app, "notice", G_CALLBACK(take_notice), &said);
    hearth_app_open_model(app, path);
    CHECK(wait_for(app, HEARTH_MODEL_READY, path));
    CHECK(said == NULL);
    hearth_app_open_model(app, none);
    CHECK(wait_for(app, HEARTH_MODEL_LOADING, none));
    CHECK(wait_for(app, HEARTH_MODEL_READY, path));
    CHECK_MSG(said && strstr(said, "none.gguf") && strstr(said, "is still loaded."), "%s",
              said ? said : "(null)");
    g_autofree char *last = setting(app, "last-model"), *left = setting(app, "loading-model");
    CHECK_STR(last, path);
    CHECK_STR(left, "");
    end(app);
}

static void opens_a_file_whose_name_is_no_text(void)
{
    HearthApp *app = begin();
    g_autofree char *path = model_file("m\xff.gguf"), *none = data_file("n\xff.gguf");
    hearth_app_open_model(app, path);
    CHECK(wait_for(app, HEARTH_MODEL_READY, path));
    hearth_app_open_model(app, none);
    CHECK(wait_for(app, HEARTH_MODEL_LOADING, none));
    CHECK(wait_for(app, HEARTH_MODEL_READY, path));
    const char *error = hearth_worker_get_error(hearth_app_get_worker(app));
    CHECK(error && strstr(error, "n\xef\xbf\xbd.gguf") && g_utf8_validate(error, -1, NULL));
    end(app);
}

/* Its parent kills it when it says that it runs. */
static int hold(void)
{
    g_autoptr(GError) error = NULL;
    HearthApp *app = hearth_app_new(&error);
    printf("%s\n", app ? "runs" : error->message);
    fflush(stdout);
    if (app) g_usleep(120 * G_USEC_PER_SEC);
    return 0;
}

/* What another process says that would work in the same folder; g_free(). */
static char *other_process(GSubprocess **ret_process)
{
    g_autoptr(GSubprocess) process =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE, NULL, "/proc/self/exe", "hold", NULL);
    CHECK(process);
    if (!process) return g_strdup("");
    g_autoptr(GDataInputStream) lines =
        g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
    char *line = g_data_input_stream_read_line(lines, NULL, NULL, NULL);
    *ret_process = g_steal_pointer(&process);
    return line;
}

static void kill_process(GSubprocess *process)
{
    g_subprocess_force_exit(process);
    g_subprocess_wait(process, NULL, NULL);
    g_object_unref(process);
}

static void has_the_folder_to_itself(void)
{
    GSubprocess *other = NULL, *third = NULL;
    HearthApp *app = begin();
    g_autofree char *refused = other_process(&other);
    CHECK_MSG(strstr(refused, "running already") && strstr(refused, folder), "it says: %s",
              refused);
    kill_process(other);
    hearth_app_close(app);
    g_object_unref(app);

    g_autofree char *runs = other_process(&third);
    CHECK_STR(runs, "runs");
    g_autoptr(GError) error = NULL;
    CHECK(!hearth_app_new(&error) && error);
    kill_process(third); /* leaves no lock behind */
    g_clear_error(&error);
    app = hearth_app_new(&error);
    CHECK_MSG(app, "%s", error ? error->message : "?");
    if (app) end(app);
}

static void makes_sentences(void)
{
    static const char *const cases[][2] = {
        {"no NVIDIA driver: libcuda.so.1 was not found",
         "No NVIDIA driver: libcuda.so.1 was not found."},
        {"model.gguf ends in the middle", "model.gguf ends in the middle."},
        {"libcuda is old", "Libcuda is old."},
        {"It is said.", "It is said."},
        {"Is it? ", "Is it?"},
        {"已经说完。", "已经说完。"},
        {"a", "A."},
        {"", ""},
        {"x\xff", "x\xef\xbf\xbd."},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *sentence = hearth_sentence(cases[i][0]);
        CHECK_STR(sentence, cases[i][1]);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"opens one while another ends loading", opens_one_while_another_ends_loading},
        {"opens the last one asked for", opens_the_last_one_asked_for},
        {"makes sentences", makes_sentences},
        {"has the folder to itself", has_the_folder_to_itself},
        {"tells why the model before stays", tells_why_the_model_before_stays},
        {"opens a file whose name is no text", opens_a_file_whose_name_is_no_text},
    };
    if (argc == 2 && strcmp(argv[1], "hold") == 0) return hold();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
