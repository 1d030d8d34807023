/* The window's parts with a GPU, which is the simulated one of tests/gpu: its settings, what the
 * hardware page says of it, and what is said when it fails. Ember gains by it. */
#include <math.h>

#include "test.h"
#include "world.h"

#include "hardware/hardware_window.h"
#include "settings/machine/gpu_group.h"
#include "settings/machine/plan_row.h"
#include "settings/machine/reload_row.h"
#include "settings/machine/rules_row.h"
#include "window/gpu_banner.h"

static bool has_host(void *telemetry) { return hearth_telemetry_get_host(telemetry) != NULL; }

static const HearthModelInfo *info_of(World *w) { return hearth_worker_get_info(w->worker); }

static bool row_says(GtkWidget *widget, const char *title, const char *text)
{
    GtkWidget *row = world_row(widget, title);
    return row && strstr(adw_action_row_get_subtitle(ADW_ACTION_ROW(row)), text);
}

static void press(GtkWidget *widget, const char *label)
{
    GtkWidget *button = world_find(widget, GTK_TYPE_BUTTON, has_label, label);
    CHECK_MSG(button, "no button is called %s", label);
    if (button) g_signal_emit_by_name(button, "clicked");
}

/* ---- settings -------------------------------------------------------------------------------- */

typedef struct {
    World *w;
    GtkWindow *window;
    GtkWidget *group, *plan, *rules, *reload, *spin;
    const char *text; /* that is waited for */
} Settings;

static GtkWidget *spin_of(GtkWidget *group, const char *title)
{
    GtkWidget *row = world_row(group, title);
    return row ? world_find(row, GTK_TYPE_SPIN_BUTTON, NULL, NULL) : NULL;
}

static Settings settings_new(void)
{
    Settings s = {.w = world_new()};
    CHECK(world_wait(has_host, s.w->telemetry));
    s.group = hearth_gpu_group_new(s.w->app);
    s.window = world_show(s.group, 500, 700);
    s.plan = world_find(s.group, HEARTH_TYPE_PLAN_ROW, NULL, NULL);
    s.rules = world_find(s.group, HEARTH_TYPE_RULES_ROW, NULL, NULL);
    s.reload = world_find(s.group, HEARTH_TYPE_RELOAD_ROW, NULL, NULL);
    s.spin = spin_of(s.group, "VRAM at Most, in GiB");
    return s;
}

static void settings_free(Settings *s)
{
    gtk_window_destroy(s->window);
    world_free(s->w);
}

static bool plan_has(void *data)
{
    Settings *s = data;
    return strstr(adw_expander_row_get_subtitle(ADW_EXPANDER_ROW(s->plan)), s->text) != NULL;
}

static bool rules_have(void *data)
{
    Settings *s = data;
    return strstr(adw_expander_row_get_subtitle(ADW_EXPANDER_ROW(s->rules)), s->text) != NULL;
}

#define WAIT_FOR(s, condition, words)                                                              \
    do {                                                                                           \
        (s)->text = (words);                                                                       \
        CHECK_MSG(world_wait(condition, s), "it never said “%s” but “%s”, “%s”", words,            \
                  adw_expander_row_get_subtitle(ADW_EXPANDER_ROW((s)->plan)),                      \
                  adw_expander_row_get_subtitle(ADW_EXPANDER_ROW((s)->rules)));                    \
    } while (0)

static bool is_over(void *worker) { return world_settled(worker); }

static void load_again(Settings *s)
{
    press(s->reload, "Load Again");
    CHECK_INT(hearth_worker_get_state(s->w->worker), HEARTH_MODEL_LOADING);
    CHECK(world_wait(is_over, s->w->worker));
}

static const char *subtitle(GtkWidget *row)
{
    return adw_action_row_get_subtitle(ADW_ACTION_ROW(row));
}

static void amount_of_memory(void)
{
    Settings s = settings_new();
    GtkEditable *typed = GTK_EDITABLE(s.spin);
    CHECK(row_says(s.group, "Use the GPU", "Simulated GPU, 8.0\u00a0GiB VRAM"));
    CHECK_STR(gtk_editable_get_text(typed), "All Free");
    CHECK(gtk_adjustment_get_upper(gtk_spin_button_get_adjustment(GTK_SPIN_BUTTON(s.spin))) == 8);
    gtk_spin_button_spin(GTK_SPIN_BUTTON(s.spin), GTK_SPIN_STEP_BACKWARD, 0.5);
    CHECK_STR(gtk_editable_get_text(typed), "7.5");
    CHECK(g_settings_get_double(s.w->settings, "vram") == 7.5);
    gtk_spin_button_spin(GTK_SPIN_BUTTON(s.spin), GTK_SPIN_STEP_FORWARD, 0.5);
    CHECK_STR(gtk_editable_get_text(typed), "All Free");
    CHECK(g_settings_get_double(s.w->settings, "vram") == 0);
    gtk_editable_set_text(typed, "2");
    gtk_spin_button_update(GTK_SPIN_BUTTON(s.spin));
    CHECK(g_settings_get_double(s.w->settings, "vram") == 2);
    gtk_editable_set_text(typed, "all free");
    gtk_spin_button_update(GTK_SPIN_BUTTON(s.spin));
    CHECK(g_settings_get_double(s.w->settings, "vram") == 0);
    g_settings_set_double(s.w->settings, "vram", 24); /* of another card */
    CHECK_STR(gtk_editable_get_text(typed), "24.0");
    CHECK(g_settings_get_double(s.w->settings, "vram") == 24);
    settings_free(&s);
}

/* What is too little is told before and after it is tried; the model stays where it is. */
static void too_little_memory(void)
{
    Settings s = settings_new();
    WAIT_FOR(&s, plan_has, "tokens per second; ");
    CHECK_INT(world_load(s.w, ""), HEARTH_MODEL_READY);
    CHECK(info_of(s.w)->gpu);
    CHECK(!gtk_widget_get_visible(s.reload));
    WAIT_FOR(&s, plan_has, "MiB of VRAM, ");
    g_settings_set_double(s.w->settings, "vram", 0.2);
    CHECK(gtk_widget_get_visible(s.reload));
    WAIT_FOR(&s, plan_has, "of VRAM are needed");
    CHECK(gtk_widget_has_css_class(s.plan, "refused"));
    load_again(&s);
    CHECK_INT(hearth_worker_get_state(s.w->worker), HEARTH_MODEL_READY);
    CHECK(info_of(s.w)->gpu && info_of(s.w)->plan->vram > (uint64_t)1 << 30);
    CHECK(gtk_widget_get_visible(s.reload));
    CHECK(has_title(s.reload, "The model could not be loaded"));
    CHECK_MSG(strstr(subtitle(s.reload), "0.20 GiB: shorten the context"), "%s",
              subtitle(s.reload));
    CHECK(g_settings_get_double(s.w->settings, "vram") == 0.2); /* as it was set */

    g_settings_set_double(s.w->settings, "vram", 1);
    WAIT_FOR(&s, plan_has, "MiB of VRAM, ");
    CHECK(!gtk_widget_has_css_class(s.plan, "refused"));
    load_again(&s);
    CHECK_INT(hearth_worker_get_state(s.w->worker), HEARTH_MODEL_READY);
    CHECK(info_of(s.w)->gpu && info_of(s.w)->plan->vram == (uint64_t)1 << 30);
    CHECK(!gtk_widget_get_visible(s.reload));

    g_settings_set_int(s.w->chat, "context", 512); /* the GPU's memory is planned for it */
    CHECK(gtk_widget_get_visible(s.reload));
    g_settings_reset(s.w->chat, "context");
    CHECK(!gtk_widget_get_visible(s.reload));
    settings_free(&s);
}

static void switched_off(void)
{
    Settings s = settings_new();
    CHECK_INT(world_load(s.w, ""), HEARTH_MODEL_READY);
    GtkWidget *use = world_find(s.group, GTK_TYPE_SWITCH, NULL, NULL);
    gtk_switch_set_active(GTK_SWITCH(use), FALSE);
    CHECK(!g_settings_get_boolean(s.w->settings, "use-gpu"));
    CHECK(!gtk_widget_get_sensitive(gtk_widget_get_ancestor(s.spin, ADW_TYPE_ACTION_ROW)));
    CHECK(gtk_widget_get_visible(s.reload));
    load_again(&s);
    CHECK(!info_of(s.w)->gpu);
    CHECK(!gtk_widget_get_visible(s.reload));
    g_settings_set_double(s.w->settings, "vram", 3); /* without a GPU all the same */
    CHECK(!gtk_widget_get_visible(s.reload));
    g_autofree char *none = hearth_gpu_banner_no_room(info_of(s.w));
    CHECK(!none);
    settings_free(&s);
}

/* A second GPU is seen, and used when that is asked for; the gauge is then of both. */
static void several_are_seen(void)
{
    Settings s = settings_new();
    CHECK(!world_seen(world_row(s.group, "GPUs at Most")));
    settings_free(&s);
    setenv("SIM_DEVICES", "2", 1);
    s = settings_new();
    const HearthHost *host = hearth_telemetry_get_host(s.w->telemetry);
    CHECK_INT(host->n_gpus, 2);
    CHECK(row_says(s.group, "Use the GPU", "VRAM\nSimulated GPU, "));
    CHECK(row_says(s.group, "VRAM at Most, in GiB", "Of each GPU. "));
    GtkWidget *spin = spin_of(s.group, "GPUs at Most");
    CHECK(spin && world_seen(spin));
    double lower, upper;
    gtk_spin_button_get_range(GTK_SPIN_BUTTON(spin), &lower, &upper);
    CHECK(lower == 1 && upper == 2);
    CHECK_INT(world_load(s.w, ""), HEARTH_MODEL_READY);
    CHECK_INT(info_of(s.w)->plan->n_gpus, 1);
    CHECK(!gtk_widget_get_visible(s.reload));
    gtk_spin_button_set_value(GTK_SPIN_BUTTON(spin), 2);
    CHECK_INT(g_settings_get_int(s.w->settings, "gpus"), 2);
    CHECK(gtk_widget_get_visible(s.reload));
    g_settings_set_string(s.w->settings, "rules", "blk.0 device=gpu0\n. device=gpu1");
    load_again(&s);
    CHECK_MSG(info_of(s.w)->gpu && strcmp(info_of(s.w)->gpu, "2 x Simulated GPU") == 0, "%s",
              hearth_worker_get_error(s.w->worker));
    CHECK_INT(info_of(s.w)->plan->n_gpus, 2);
    CHECK(!gtk_widget_get_visible(s.reload));
    hearth_telemetry_watch(s.w->telemetry, true);
    world_run(2.5);
    CHECK_INT(hearth_telemetry_get_sample(s.w->telemetry).vram_total, 2 * host->vram_total);
    hearth_telemetry_watch(s.w->telemetry, false);
    settings_free(&s);
    unsetenv("SIM_DEVICES");
    s = settings_new(); /* the other has been taken out */
    g_settings_set_int(s.w->settings, "gpus", 2);
    CHECK_INT(world_load(s.w, ""), HEARTH_MODEL_READY);
    CHECK_STR(info_of(s.w)->gpu, "Simulated GPU");
    settings_free(&s);
}

static void rules_are_written(void)
{
    Settings s = settings_new();
    GtkWidget *view = world_find(s.rules, GTK_TYPE_TEXT_VIEW, NULL, NULL);
    GtkTextBuffer *buffer = gtk_text_view_get_buffer(GTK_TEXT_VIEW(view));
    CHECK(gtk_text_view_get_monospace(GTK_TEXT_VIEW(view)));
    CHECK_INT(world_load(s.w, ""), HEARTH_MODEL_READY);
    WAIT_FOR(&s, rules_have, "None: ");
    gtk_text_buffer_set_text(buffer, "# experts\nexps device=cpu\nnobody device=gpu0", -1);
    g_autofree char *rules = g_settings_get_string(s.w->settings, "rules");
    CHECK_STR(rules, "# experts\nexps device=cpu\nnobody device=gpu0");
    CHECK(gtk_widget_get_visible(s.reload));
    WAIT_FOR(&s, rules_have, "Line 3 of the rules: ");
    adw_expander_row_set_expanded(ADW_EXPANDER_ROW(s.rules), TRUE);
    CHECK_STR(adw_expander_row_get_subtitle(ADW_EXPANDER_ROW(s.rules)), "2 lines");
    world_run(0.5); /* it opens */
    CHECK(world_seen(world_find(s.rules, GTK_TYPE_LABEL, has_text, "Line 3 of the rules: ")));
    gtk_text_buffer_set_text(buffer, "exps device=cpu", -1);
    WAIT_FOR(&s, plan_has, "tokens per second; ");
    CHECK(!world_seen(world_find(s.rules, GTK_TYPE_LABEL, has_text, "Line 3 of the rules: ")));
    load_again(&s);
    CHECK_INT(info_of(s.w)->bytes[HEARTH_KIND_EXPERTS][HEARTH_DEVICE_VRAM], 0);
    gtk_text_buffer_set_text(buffer, "# one\n plugin=/nowhere/at/all.so", -1);
    WAIT_FOR(&s, plan_has, "plug-in are tried when the model is loaded");
    WAIT_FOR(&s, rules_have, "1 line");
    gtk_text_buffer_set_text(buffer, "# nothing more", -1);
    CHECK(gtk_widget_get_visible(s.reload));
    load_again(&s);
    CHECK(info_of(s.w)->bytes[HEARTH_KIND_EXPERTS][HEARTH_DEVICE_VRAM] > 0);
    settings_free(&s);
}

/* ---- failing --------------------------------------------------------------------------------- */

static bool is_idle(void *conversation) { return !hearth_conversation_is_busy(conversation); }
static bool is_lost(void *worker)
{
    return hearth_worker_get_info(worker)->gpu_state == HEARTH_GPU_FAILED;
}

static HearthConversation *ask(World *w)
{
    HearthConversation *conversation = hearth_history_new_conversation(w->history, 0);
    hearth_conversation_set_shown(conversation, true);
    hearth_conversation_send(conversation, "What is Hearth?");
    return conversation;
}

static bool says_failure(void *banner)
{
    return world_seen(world_find(banner, GTK_TYPE_LABEL, has_text, "Simulated GPU stopped"));
}

static bool says_nothing(void *banner) { return !says_failure(banner); }
static bool has_measured(void *worker) { return hearth_worker_get_last_stats(worker).tokens > 0; }

static void failing_is_said(void)
{
    World *w = world_new();
    GtkWidget *banner = hearth_gpu_banner_new(w->app), *page = hearth_hardware_window_new(w->app);
    GtkWindow *window = world_show(banner, 500, 100), *hardware = world_show(page, 700, 700);
    CHECK_INT(world_load(w, ""), HEARTH_MODEL_READY);
    CHECK(row_says(page, "Computed By", "Simulated GPU and the processor"));
    HearthConversation *conversation = ask(w);
    CHECK(world_wait(is_idle, conversation));
    CHECK(world_wait(has_measured, w->worker));
    CHECK(row_says(page, "Writing Answers", "\nMeasured in the last answer: "));
    CHECK(says_nothing(banner));
    setenv("SIM_FAIL", "cuGraphLaunch:3:700", 1);
    HearthConversation *next = ask(w);
    CHECK(world_wait(is_lost, w->worker));
    CHECK(world_wait(says_failure, banner));
    CHECK(row_says(page, "Computed By", "The processor alone. No GPU: Simulated GPU stopped "));
    CHECK(world_wait(is_idle, next));
    unsetenv("SIM_FAIL");
    guint n = g_list_model_get_n_items(G_LIST_MODEL(next));
    g_autoptr(HearthMessage) answer = g_list_model_get_item(G_LIST_MODEL(next), n - 1);
    CHECK_INT(hearth_message_get_state(answer), HEARTH_STATE_DONE);
    press(banner, "Load Again");
    CHECK(world_wait(is_over, w->worker));
    CHECK(info_of(w)->gpu);
    CHECK(world_wait(says_nothing, banner));
    gtk_window_destroy(window);
    gtk_window_destroy(hardware);
    world_free(w);
}

static bool says_want(void *banner)
{
    return world_seen(world_find(banner, GTK_TYPE_LABEL, has_text, "Cannot get "));
}

/* The model is there all the same. */
static void failing_while_loading(void)
{
    World *w = world_new();
    GtkWidget *banner = hearth_gpu_banner_new(w->app);
    GtkWindow *window = world_show(banner, 500, 100);
    setenv("SIM_FAIL", "cuMemAlloc_v2:1:2", 1);
    CHECK_INT(world_load(w, ""), HEARTH_MODEL_READY);
    unsetenv("SIM_FAIL");
    CHECK(world_wait(says_want, banner));
    setenv("SIM_MEMORY", "100000000", 1);
    CHECK_INT(world_load(w, ""), HEARTH_MODEL_READY);
    g_autofree char *said = hearth_gpu_banner_no_room(info_of(w));
    CHECK(said);
    CHECK_INT(info_of(w)->gpu_state, HEARTH_GPU_NO_ROOM);
    unsetenv("SIM_MEMORY");
    gtk_window_destroy(window);
    world_free(w);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"so much of the memory, or all", amount_of_memory},
        {"too little memory is told where it was set", too_little_memory},
        {"the GPU is switched off", switched_off},
        {"a second GPU is seen, and used when asked for", several_are_seen},
        {"rules are written and judged", rules_are_written},
        {"a failing GPU is told of, and tried again", failing_is_said},
        {"a GPU that fails while a model is loaded", failing_while_loading},
    };
    gtk_disable_setlocale(); /* whatever the machine speaks, the tests read English */
    adw_init();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
