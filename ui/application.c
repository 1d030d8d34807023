#include "application.h"

#include <glib/gi18n-lib.h>
#ifdef G_OS_UNIX
#include <glib-unix.h>
#endif
#include <libintl.h>
#include <locale.h>

#include "app.h"
#include "attention.h"
#include "compat.h"
#include "trace.h"
#include "window/shortcuts.h"
#include "window/window.h"

#define RESOURCES "/io/github/hearth_ai/Hearth"

struct _HearthApplication {
    AdwApplication parent_instance;
    HearthApp *app;
    HearthAttention *attention;
    GFile *first; /* a model named on the command line that made the program start */
    bool started; /* a model has been asked for */
};

G_DEFINE_FINAL_TYPE(HearthApplication, hearth_application, ADW_TYPE_APPLICATION)

/* ---- language -------------------------------------------------------------------------------- */

/* Where the program lies, or NULL; g_free(). */
static char *program_folder(void)
{
#ifdef G_OS_WIN32
    g_autofree char *top = g_win32_get_package_installation_directory_of_module(NULL);
    return top ? g_build_filename(top, "bin", NULL) : NULL;
#else
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    return program ? g_path_get_dirname(program) : NULL;
#endif
}

void hearth_application_init_locale(void)
{
    static const char *const beside[] = {"../po", "../share/locale"};
    g_autofree char *folder = program_folder();
    const char *found = HEARTH_LOCALE_DIR;
    g_autofree char *path = NULL;
    for (size_t i = 0; folder && i < G_N_ELEMENTS(beside) && !path; i++) {
        path = g_build_filename(folder, beside[i], NULL);
        if (!g_file_test(path, G_FILE_TEST_IS_DIR)) g_clear_pointer(&path, g_free);
    }
    /* Numbers keep their decimal point: chat templates print and read them with C's functions. */
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    gtk_disable_setlocale();
    bindtextdomain(GETTEXT_PACKAGE, path ? path : found);
    bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
    textdomain(GETTEXT_PACKAGE);
}

static bool is_right_to_left(PangoScript script)
{
    switch (script) {
    case PANGO_SCRIPT_ARABIC:
    case PANGO_SCRIPT_HEBREW:
    case PANGO_SCRIPT_SYRIAC:
    case PANGO_SCRIPT_THAANA:
    case PANGO_SCRIPT_NKO: return true;
    default: return false;
    }
}

GtkTextDirection hearth_application_direction_of(PangoLanguage *language)
{
    int n = 0;
    const PangoScript *scripts = pango_language_get_scripts(language, &n);
    if (n < 1) return GTK_TEXT_DIR_NONE;
    return is_right_to_left(scripts[0]) ? GTK_TEXT_DIR_RTL : GTK_TEXT_DIR_LTR;
}

void hearth_application_init_direction(void)
{
    GtkTextDirection found = hearth_application_direction_of(pango_language_get_default());
    if (found != GTK_TEXT_DIR_NONE) gtk_widget_set_default_direction(found);
}

/* ---- window ---------------------------------------------------------------------------------- */

static HearthWindow *get_window(HearthApplication *self)
{
    for (GList *one = gtk_application_get_windows(GTK_APPLICATION(self)); one; one = one->next)
        if (HEARTH_IS_WINDOW(one->data)) return one->data;
    return NULL;
}

/* After the first frame: reading a model's file must not hold it up. */
static gboolean start_model(gpointer data)
{
    HearthApplication *self = data;
    if (self->started || !self->app) return G_SOURCE_REMOVE;
    self->started = true;
    g_autofree char *path = self->first ? g_file_get_path(self->first) : NULL;
    hearth_app_start_model(self->app, path);
    g_clear_object(&self->first);
    return G_SOURCE_REMOVE;
}

static HearthWindow *present_window(HearthApplication *self)
{
    HearthWindow *window = get_window(self);
    if (!window) window = hearth_window_new(GTK_APPLICATION(self), self->app);
    gtk_window_present(GTK_WINDOW(window));
    if (!self->started) hearth_trace_frame(GTK_WIDGET(window), "window");
    g_idle_add_full(G_PRIORITY_LOW, start_model, g_object_ref(self), g_object_unref);
    return window;
}

static void hearth_application_activate(GApplication *application)
{
    HearthApplication *self = HEARTH_APPLICATION(application);
    if (self->app) present_window(self);
}

static void take_file(HearthApplication *self, GFile *file)
{
    g_autofree char *path = g_file_get_path(file);
    g_autofree char *folded = path ? g_ascii_strdown(path, -1) : NULL;
    HearthWindow *window = present_window(self);
    if (folded && g_str_has_suffix(folded, ".gguf") && !self->started)
        g_set_object(&self->first, file); /* instead of the model that was used last */
    else
        hearth_window_take_file(window, file);
}

static void hearth_application_open(GApplication *application, GFile **files, int n,
                                    const char *hint)
{
    HearthApplication *self = HEARTH_APPLICATION(application);
    (void)hint;
    for (int i = 0; self->app && i < n; i++) take_file(self, files[i]);
}

/* In the first instance, for every one that is started. */
static int hearth_application_command_line(GApplication *application, GApplicationCommandLine *line)
{
    HearthApplication *self = HEARTH_APPLICATION(application);
    GVariantDict *options = g_application_command_line_get_options_dict(line);
    g_autofree const char **paths = NULL;
    gboolean new = false;
    if (!self->app) return 1;
    HearthWindow *window = present_window(self);
    g_variant_dict_lookup(options, "new", "b", &new);
    g_variant_dict_lookup(options, G_OPTION_REMAINING, "^a&ay", &paths);
    if (new) hearth_window_open_new(window, 0);
    for (const char **path = paths; path && *path; path++) {
        g_autoptr(GFile) file = g_application_command_line_create_file_for_arg(line, *path);
        take_file(self, file);
    }
    return 0;
}

/* ---- actions --------------------------------------------------------------------------------- */

static gboolean quit(gpointer application)
{
    HearthWindow *window = get_window(application);
    if (window)
        gtk_window_close(GTK_WINDOW(window));
    else
        g_application_quit(application);
    return G_SOURCE_REMOVE;
}

/* Not at once: the dialog whose key it was must be gone before its parent is. */
static void on_quit(GSimpleAction *action, GVariant *target, gpointer data)
{
    (void)action;
    (void)target;
    g_idle_add_full(G_PRIORITY_DEFAULT, quit, g_object_ref(data), g_object_unref);
}

static void on_show_conversation(GSimpleAction *action, GVariant *target, gpointer data)
{
    HearthApplication *self = data;
    (void)action;
    if (self->app) hearth_window_open_id(present_window(self), g_variant_get_int64(target));
}

/* ---- beginning and end ----------------------------------------------------------------------- */

#ifdef G_OS_UNIX
/* The end of the session, or Ctrl+C in a terminal: an end like any other. A second one kills. */
static gboolean on_signal(gpointer application)
{
    g_application_quit(application);
    return G_SOURCE_REMOVE;
}

static void end_by_signals(GApplication *application)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        g_unix_signal_add(signals[i], on_signal, application);
}
#else
static void end_by_signals(GApplication *application) { (void)application; }
#endif

static void on_color_scheme(GSettings *settings, const char *key)
{
    g_autofree char *name = g_settings_get_string(settings, key);
    AdwColorScheme scheme = g_str_equal(name, "dark")    ? ADW_COLOR_SCHEME_FORCE_DARK
                            : g_str_equal(name, "light") ? ADW_COLOR_SCHEME_FORCE_LIGHT
                                                         : ADW_COLOR_SCHEME_DEFAULT;
    adw_style_manager_set_color_scheme(adw_style_manager_get_default(), scheme);
}

/* Each folder of ui/ may bring a style sheet of its own. */
static void load_styles(void)
{
    g_auto(GStrv) folders = g_resources_enumerate_children(RESOURCES, 0, NULL);
    for (char **folder = folders; folder && *folder; folder++) {
        g_autofree char *path = g_strconcat(RESOURCES "/", *folder, "style.css", NULL);
        if (!g_resources_get_info(path, 0, NULL, NULL, NULL)) continue;
        g_autoptr(GtkCssProvider) provider = gtk_css_provider_new();
        gtk_css_provider_load_from_resource(provider, path);
        gtk_style_context_add_provider_for_display(gdk_display_get_default(),
                                                   GTK_STYLE_PROVIDER(provider),
                                                   GTK_STYLE_PROVIDER_PRIORITY_APPLICATION);
    }
}

static void hearth_application_startup(GApplication *application)
{
    HearthApplication *self = HEARTH_APPLICATION(application);
    g_autoptr(GError) error = NULL;
    G_APPLICATION_CLASS(hearth_application_parent_class)->startup(application);
    hearth_compat_mend();
    load_styles();
    gtk_window_set_default_icon_name(HEARTH_APP_ID);
    hearth_shortcuts_install(GTK_APPLICATION(self));
    self->app = hearth_app_new(&error);
    if (!self->app) {
        g_printerr("hearth: %s\n", error->message);
        g_application_quit(application);
        return;
    }
    GSettings *settings = hearth_app_get_settings(self->app);
    g_signal_connect(settings, "changed::color-scheme", G_CALLBACK(on_color_scheme), NULL);
    on_color_scheme(settings, "color-scheme");
    /* The window is there before the loading begins: what is asked in between waits for it. */
    g_autofree char *last = g_settings_get_string(settings, "last-model");
    hearth_worker_expect(hearth_app_get_worker(self->app), last);
    self->attention = hearth_attention_new(GTK_APPLICATION(self), self->app);
    end_by_signals(application);
}

/* What is being written is kept as far as it came: nothing is asked. */
static void hearth_application_shutdown(GApplication *application)
{
    HearthApplication *self = HEARTH_APPLICATION(application);
    g_clear_pointer(&self->attention, hearth_attention_free);
    if (self->app) hearth_app_close(self->app);
    G_APPLICATION_CLASS(hearth_application_parent_class)->shutdown(application);
    g_clear_object(&self->app);
}

static void hearth_application_dispose(GObject *object)
{
    HearthApplication *self = HEARTH_APPLICATION(object);
    g_clear_object(&self->first);
    G_OBJECT_CLASS(hearth_application_parent_class)->dispose(object);
}

static void hearth_application_class_init(HearthApplicationClass *class)
{
    GApplicationClass *application_class = G_APPLICATION_CLASS(class);
    G_OBJECT_CLASS(class)->dispose = hearth_application_dispose;
    application_class->startup = hearth_application_startup;
    application_class->shutdown = hearth_application_shutdown;
    application_class->activate = hearth_application_activate;
    application_class->open = hearth_application_open;
    application_class->command_line = hearth_application_command_line;
}

static void hearth_application_init(HearthApplication *self)
{
    static const GActionEntry actions[] = {
        {.name = "quit", on_quit}, {.name = "show-conversation", on_show_conversation, "x"}};
    GApplication *application = G_APPLICATION(self);
    /* One by one, translated here: a table would be shown as it is. */
    g_application_add_main_option(application, "new", 0, 0, G_OPTION_ARG_NONE,
                                  _("Begin a new conversation"), NULL);
    g_application_add_main_option(application, "version", 0, 0, G_OPTION_ARG_NONE,
                                  _("Print the version"), NULL);
    g_application_add_main_option(application, G_OPTION_REMAINING, 0, 0,
                                  G_OPTION_ARG_FILENAME_ARRAY, "", _("[MODEL.gguf]"));
    g_action_map_add_action_entries(G_ACTION_MAP(self), actions, G_N_ELEMENTS(actions), self);
}

HearthApplication *hearth_application_new(void)
{
    return g_object_new(HEARTH_TYPE_APPLICATION, "application-id", HEARTH_APP_ID, "flags",
                        G_APPLICATION_HANDLES_OPEN | G_APPLICATION_HANDLES_COMMAND_LINE,
                        "resource-base-path", RESOURCES, NULL);
}
