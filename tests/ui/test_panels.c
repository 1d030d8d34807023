/* Model button and menu, gauge strip and hardware page, over the real worker and telemetry. */
#include <math.h>

#include "test.h"
#include "world.h"

#include "hardware/gauge_strip.h"
#include "hardware/graph.h"
#include "hardware/hardware_window.h"
#include "hardware/host_lines.h"
#include "hardware/plan/plan_words.h"
#include "hardware/report.h"
#include "hardware/plan/stacked_bar.h"
#include "amount.h"
#include "models/ember.h"
#include "models/model_button.h"
#include "models/model_menu.h"
#include "models/model_name.h"
#include "models/model_row.h"

#define GIB ((uint64_t)1 << 30)

static void takes(char *got, const char *want)
{
    CHECK_STR(got, want);
    g_free(got);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void amounts(void)
{
    const uint64_t half = GIB / 2;
    takes(hearth_amount_bytes_of(12 * GIB + half, 15 * GIB), "12.5 of 15.0\u00a0GiB");
    takes(hearth_amount_bytes_of(half, 15 * GIB), "512.0\u00a0MiB of 15.0\u00a0GiB");
    takes(hearth_amount_speed(1.5 * (double)GIB), "1.5\u00a0GiB/s");
    takes(hearth_amount_count(0), "0");
    takes(hearth_amount_count(999), "999");
    takes(hearth_amount_count(163840), "163,840");
    takes(hearth_amount_count(-1234567), "-1,234,567");
    takes(hearth_amount_tokens(1), "1 token");
    takes(hearth_amount_tokens(4096), "4,096 tokens");
    takes(hearth_amount_parameters(671026419200), "671B");
    takes(hearth_amount_parameters(30532122624), "30.5B");
    takes(hearth_amount_parameters(999960000), "1B");
    takes(hearth_amount_parameters(13350000), "13.3M");
    takes(hearth_amount_parameters(40), "40");
    CHECK(!hearth_amount_seconds_left(-1));
    takes(hearth_amount_seconds_left(0.2), "1 second left");
    takes(hearth_amount_seconds_left(59.5), "1 minute left");
    takes(hearth_amount_seconds_left(400), "7 minutes left");
    takes(hearth_amount_seconds_left(4 * 3600), "4 hours left");
}

static void names(void)
{
    takes(hearth_model_name_of_path(NULL), "Ember");
    takes(hearth_model_name_of_path(""), "Ember");
    takes(hearth_model_name_of_path("/a/R1-Q4_K_M-00001-of-00009.gguf"), "R1-Q4_K_M");
    takes(hearth_model_name_of_path("/a/.gguf"), ".gguf");
    takes(hearth_model_name_of_path("/a/model-2of3.gguf"), "model-2of3");
}

/* ---- the model button ------------------------------------------------------------------------ */

static const char *button_text(GtkWidget *button)
{
    GtkWidget *label = world_find(button, GTK_TYPE_LABEL, NULL, NULL);
    return gtk_label_get_text(GTK_LABEL(label));
}

static GtkWidget *menu_of(GtkWidget *button)
{
    GtkWidget *inner = adw_bin_get_child(ADW_BIN(button));
    GtkPopover *popover = gtk_menu_button_get_popover(GTK_MENU_BUTTON(inner));
    return gtk_popover_get_child(popover);
}

static const char *page_of(GtkWidget *menu)
{
    GtkWidget *stack = world_find(menu, GTK_TYPE_STACK, NULL, NULL);
    return gtk_stack_get_visible_child_name(GTK_STACK(stack));
}

static void press(GtkWidget *menu, const char *label)
{
    GtkWidget *button = world_find(menu, GTK_TYPE_BUTTON, has_label, label);
    CHECK_MSG(button, "no button is called %s", label);
    if (button) g_signal_emit_by_name(button, "clicked");
}

typedef struct {
    GtkWidget *button;
    HearthWorker *worker;
    char *text, *page;
} Glimpse;

/* Connected after the button's own handler: what it shows the moment the loading begins. */
static void on_loading(Glimpse *glimpse)
{
    if (hearth_worker_get_state(glimpse->worker) != HEARTH_MODEL_LOADING || glimpse->text) return;
    glimpse->text = g_strdup(button_text(glimpse->button));
    glimpse->page = g_strdup(page_of(menu_of(glimpse->button)));
}

static bool is_none(void *worker) { return hearth_worker_get_state(worker) == HEARTH_MODEL_NONE; }
static bool is_model_ready(void *worker)
{
    return hearth_worker_get_state(worker) == HEARTH_MODEL_READY;
}

static void shows_model(void)
{
    World *w = world_new();
    GtkWidget *button = hearth_model_button_new(w->app), *menu = menu_of(button);
    GtkWindow *window = world_show(button, 400, 300);
    CHECK_STR(button_text(button), "No Model");
    CHECK_STR(page_of(menu), "none");
    gtk_test_accessible_assert_property(GTK_ACCESSIBLE(adw_bin_get_child(ADW_BIN(button))),
                                        GTK_ACCESSIBLE_PROPERTY_LABEL, "Model");

    Glimpse glimpse = {button, w->worker, NULL, NULL};
    g_signal_connect_swapped(w->worker, "notify::state", G_CALLBACK(on_loading), &glimpse);
    CHECK_INT(world_load(w, ""), HEARTH_MODEL_READY);
    CHECK_MSG(glimpse.text && g_str_has_prefix(glimpse.text, "Loading…"), "%s", glimpse.text);
    CHECK_STR(glimpse.page, "loading");
    HearthModelInfo *info = hearth_worker_get_info(w->worker);
    g_autofree char *name = hearth_model_name_of_info(info);
    CHECK_STR(button_text(button), name);
    CHECK(g_str_has_prefix(name, "Ember · "));
    CHECK_STR(page_of(menu), "ready");
    CHECK(world_find(menu, GTK_TYPE_LABEL, has_text, info->arch));
    CHECK(world_find(menu, GTK_TYPE_LABEL, has_text, "2,048 tokens"));

    press(menu, "Unload");
    CHECK(world_wait(is_none, w->worker));
    CHECK_STR(button_text(button), "No Model");
    CHECK_STR(page_of(menu), "none");
    GtkWidget *load = world_find(menu, GTK_TYPE_LABEL, has_text, "Load Ember");
    CHECK(load);
    g_signal_emit_by_name(gtk_widget_get_ancestor(load, GTK_TYPE_BUTTON), "clicked");
    CHECK(world_wait(is_model_ready, w->worker));
    g_free(glimpse.text);
    g_free(glimpse.page);
    gtk_window_destroy(window);
    world_free(w);
}

static void shows_failure(void)
{
    World *w = world_new();
    GtkWidget *button = hearth_model_button_new(w->app), *menu = menu_of(button);
    GtkWindow *window = world_show(button, 400, 300);
    GtkWidget *warning = world_find(button, GTK_TYPE_IMAGE, NULL, NULL);
    CHECK(!world_seen(warning));
    g_autofree char *garbage = world_file(w, "garbage.gguf", "no model at all", 15);
    g_autofree char *missing = g_build_filename(w->folder, "missing.gguf", NULL);
    const char *const paths[] = {garbage, missing};
    const char *const shown[] = {"garbage", "missing"};
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        CHECK_INT(world_load(w, paths[i]), HEARTH_MODEL_FAILED);
        CHECK_STR(button_text(button), shown[i]);
        CHECK(world_seen(warning));
        CHECK_STR(page_of(menu), "failed");
        const char *error = hearth_worker_get_error(w->worker);
        CHECK(error && *error);
        CHECK_MSG(world_find(menu, GTK_TYPE_LABEL, has_text, error), "%s", error);
    }
    /* The file is put right: trying again loads it. */
    size_t size = 0;
    const void *ember = hearth_ember_data(&size);
    g_free(world_file(w, "missing.gguf", ember, size));
    press(menu, "Try Again");
    CHECK(world_wait(is_model_ready, w->worker));
    CHECK_STR(page_of(menu), "ready");
    CHECK(!world_seen(warning));
    gtk_window_destroy(window);
    world_free(w);
}

static int height_for(GtkWidget *widget, int width)
{
    int height;
    gtk_widget_measure(widget, GTK_ORIENTATION_VERTICAL, width, NULL, &height, NULL, NULL);
    return height;
}

/* A popover of GTK 4.8 asks for a width that has its frame and shadow in it; the texts, whatever
 * their length, then have the width that the menu wants. */
static void menu_has_room(void)
{
    World *w = world_new();
    GtkWidget *menu = hearth_model_menu_new(w->app);
    GtkWindow *window = world_show(menu, 500, 500);
    for (size_t n = 10; n < 90; n += 4) {
        g_autofree char *name = g_strnfill(n, 'm');
        g_autofree char *missing = g_build_filename(w->folder, name, NULL);
        int width;
        CHECK_INT(world_load(w, missing), HEARTH_MODEL_FAILED);
        gtk_widget_measure(menu, GTK_ORIENTATION_HORIZONTAL, -1, NULL, &width, NULL, NULL);
        CHECK_INT(height_for(menu, width + 46), height_for(menu, width));
        CHECK_INT(height_for(menu, -1), height_for(menu, width));
    }
    gtk_window_destroy(window);
    world_free(w);
}

static bool is_listed(GtkWidget *row, const char *path)
{
    return strcmp(hearth_model_row_get_path(HEARTH_MODEL_ROW(row)), path) == 0;
}

static GtkWidget *listed(GtkWidget *menu, const char *path)
{
    return world_find(menu, HEARTH_TYPE_MODEL_ROW, is_listed, path);
}

static bool has_size(void *row)
{
    return strstr(adw_action_row_get_subtitle(ADW_ACTION_ROW(row)), "MiB in ") != NULL;
}

static bool is_dimmed(void *row) { return gtk_widget_has_css_class(row, "missing-model"); }

static void count_up(int *n) { (*n)++; }

static void lists_models(void)
{
    World *w = world_new();
    size_t size = 0;
    const void *ember = hearth_ember_data(&size);
    g_autofree char *there = world_file(w, "there.gguf", ember, size);
    g_autofree char *gone = g_build_filename(w->folder, "gone.gguf", NULL);
    const char *const recent[] = {there, gone, NULL};
    g_settings_set_strv(w->settings, "recent-models", recent);
    GtkWidget *menu = hearth_model_menu_new(w->app);
    GtkWindow *window = world_show(menu, 400, 500);
    int picked = 0;
    g_signal_connect_swapped(menu, "picked", G_CALLBACK(count_up), &picked);
    GtkWidget *row = listed(menu, there), *lost = listed(menu, gone);
    CHECK(listed(menu, "") && row && lost);
    CHECK(world_wait(has_size, row));
    CHECK(world_wait(is_dimmed, lost));
    CHECK_STR(adw_action_row_get_subtitle(ADW_ACTION_ROW(lost)), "The file is no longer there");
    CHECK(gtk_list_box_row_get_activatable(GTK_LIST_BOX_ROW(row)));
    CHECK(!gtk_list_box_row_get_activatable(GTK_LIST_BOX_ROW(lost)));

    g_signal_emit_by_name(world_find(lost, GTK_TYPE_BUTTON, NULL, NULL), "clicked");
    g_auto(GStrv) kept = g_settings_get_strv(w->settings, "recent-models");
    CHECK_INT(g_strv_length(kept), 1);
    CHECK(!listed(menu, gone));

    row = listed(menu, there);
    g_signal_emit_by_name(gtk_widget_get_parent(row), "row-activated", row);
    CHECK(world_wait(is_model_ready, w->worker));
    g_autofree char *path = NULL;
    g_object_get(w->worker, "path", &path, NULL);
    CHECK_STR(path, there);
    const char *const others[] = {there, ""};
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        GtkWidget *check = world_find(listed(menu, others[i]), GTK_TYPE_IMAGE, has_image,
                                      "object-select-symbolic");
        CHECK_INT(gtk_widget_get_visible(check), i == 0);
    }
    CHECK_INT(picked, 1);
    gtk_window_destroy(window);
    world_free(w);
}

/* ---- gauges ---------------------------------------------------------------------------------- */

static bool is_two(void *n) { return *(int *)n >= 2; }
static bool has_sample(void *telemetry) { return hearth_telemetry_get_sample(telemetry).time > 0; }
static bool has_host(void *telemetry) { return hearth_telemetry_get_host(telemetry) != NULL; }

static void strip_watches_while_seen(void)
{
    World *w = world_new();
    int n = 0;
    g_signal_connect_swapped(w->telemetry, "sampled", G_CALLBACK(count_up), &n);
    GtkWidget *strip = hearth_gauge_strip_new(w->app);
    world_run(1.5);
    CHECK_INT(n, 0); /* not mapped yet */
    GtkWindow *window = world_show(strip, 260, 200);
    CHECK(world_wait(has_sample, w->telemetry));
    n = 0;
    CHECK(world_wait(is_two, &n)); /* and another one */

    gtk_widget_set_visible(strip, FALSE); /* the sidebar is hidden */
    world_run(0.5);                       /* a sample that was on its way */
    n = 0;
    world_run(2.5);
    CHECK_INT(n, 0);

    gtk_widget_set_visible(strip, TRUE);
    CHECK(world_wait(is_two, &n)); /* shown again */
    gtk_window_destroy(window);
    world_run(0.5);
    n = 0;
    world_run(1.5);
    CHECK_INT(n, 0); /* gone */
    world_free(w);
}

static bool has_name(GtkWidget *widget, const char *name)
{
    g_autofree char *wrong = gtk_test_accessible_check_property(
        GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name);
    return !wrong;
}

static GtkWidget *gauge(GtkWidget *strip, const char *name)
{
    return world_find(strip, GTK_TYPE_LEVEL_BAR, has_name, name);
}

static bool is_idle(void *conversation) { return !hearth_conversation_is_busy(conversation); }

static bool speed_is_zero(void *label) { return has_text(label, "0.0 tok/s"); }

static bool is_filled(void *bar) { return gtk_level_bar_get_value(GTK_LEVEL_BAR(bar)) > 0; }

static bool says_ready(void *strip)
{
    return world_find(strip, GTK_TYPE_LABEL, has_text, "Model ready") != NULL;
}

static void strip_shows(void)
{
    World *w = world_new();
    GtkWidget *strip = hearth_gauge_strip_new(w->app);
    GtkWindow *window = world_show(strip, 260, 200);
    int least = 0, natural = 0;
    CHECK(world_find(strip, GTK_TYPE_LABEL, has_text, "No model loaded"));
    world_load(w, "");
    CHECK(world_find(strip, GTK_TYPE_LABEL, has_text, "Model ready"));
    CHECK(world_wait(has_host, w->telemetry));
    CHECK(world_wait(has_sample, w->telemetry));
    world_run(1.2);
    GtkWidget *dram = gauge(strip, "DRAM"), *vram = gauge(strip, "VRAM"),
              *context = gauge(strip, "Context");
    CHECK(dram && vram && context);
    double used = gtk_level_bar_get_value(GTK_LEVEL_BAR(dram));
    CHECK_MSG(used > 0.001 && used < 1, "%g of the memory", used);
    const HearthHost *host = hearth_telemetry_get_host(w->telemetry);
    bool has_gpu = host->gpu && *host->gpu;
    CHECK_INT(world_seen(vram), has_gpu);
    GtkWidget *no_gpu = world_find(strip, GTK_TYPE_LABEL, has_text, "No GPU in use");
    CHECK_INT(world_seen(no_gpu), !has_gpu);
    if (!has_gpu) CHECK(strstr(gtk_widget_get_tooltip_text(no_gpu), host->gpu_reason));

    HearthConversation *conversation = hearth_history_new_conversation(w->history, 0);
    hearth_conversation_set_shown(conversation, true);
    hearth_conversation_send(conversation, "What is Hearth?");
    CHECK(hearth_conversation_is_busy(conversation));
    CHECK(world_wait(is_idle, conversation));
    CHECK(world_wait(says_ready, strip)); /* the worker tells a moment after the answer's end */
    CHECK(world_wait(is_filled, context));
    double rates[16];
    CHECK(hearth_telemetry_get_rates(w->telemetry, rates, 16) > 0);
    GtkWidget *speed = world_find(strip, GTK_TYPE_LABEL, has_name, "Speed");
    CHECK(speed && world_wait(speed_is_zero, speed));
    CHECK(world_find(strip, GTK_TYPE_LABEL, has_name, "Speed") == speed); /* still */
    gtk_widget_measure(strip, GTK_ORIENTATION_HORIZONTAL, -1, &least, &natural, NULL, NULL);
    CHECK_MSG(least <= 260, "it needs %d pixels", least);
    gtk_window_destroy(window);
    world_free(w);
}

/* ---- hardware -------------------------------------------------------------------------------- */

static void plans_read_well(void)
{
    HearthPlan plan = {.decode_tok_s = 9.44,
                       .prefill_tok_s = 1234,
                       .load_s = 100,
                       .prompt = 4096,
                       .decode_term = "DRAM reading",
                       .prefill_term = "PCIe"};
    plan.bytes[HEARTH_KIND_ATTENTION][HEARTH_DEVICE_VRAM] = 11 * GIB;
    plan.bytes[HEARTH_KIND_EXPERTS][HEARTH_DEVICE_DRAM] = 380 * GIB;
    takes(hearth_plan_words_decode(&plan),
          "About 9.4 tokens per second; reading DRAM takes the longest");
    takes(hearth_plan_words_prefill(&plan), "About 1,200 tokens per second, of 4,096 tokens at "
                                            "once; the way to the GPU (PCIe) takes the longest");
    takes(hearth_plan_words_load(&plan), "About 2 minutes, from the disk");
    takes(hearth_plan_words_memory(&plan), "11.0\u00a0GiB of VRAM, 380.0\u00a0GiB of DRAM");
    plan.bytes[HEARTH_KIND_EXPERTS][HEARTH_DEVICE_DISK] = 20 * GIB;
    g_autofree char *memory = hearth_plan_words_memory(&plan);
    CHECK(g_str_has_suffix(memory, ", 20.0\u00a0GiB read from the disk again and again"));
    takes(hearth_amount_rough_rate(0.52), "0.5");
    takes(hearth_amount_rough_rate(9.96), "10");
    takes(hearth_amount_rough_rate(99.6), "100");
    takes(hearth_amount_rough_rate(84.4), "84");
    HearthModelInfo info = {.gpu = (char *)"RTX 4090"};
    takes(hearth_plan_words_computes(&info), "RTX 4090 and the processor");
    info.gpu = NULL;
    info.gpu_reason = (char *)"It is switched off.";
    takes(hearth_plan_words_computes(&info), "The processor alone. No GPU: It is switched off.");
    HearthStats stats = {
        .prompt_tokens = 100, .reused_tokens = 60, .prefill_s = 2, .tokens = 87, .decode_s = 10};
    takes(hearth_plan_words_decoded(&stats), "8.7 tok/s over 87 tokens");
    takes(hearth_plan_words_prefilled(&stats), "20.0 tok/s over 40 tokens");
    stats.reused_tokens = 99; /* one token more says nothing of reading */
    CHECK(!hearth_plan_words_prefilled(&stats));
}

static bool line_is(GPtrArray *lines, const char *name, const char *value)
{
    for (guint i = 0; i < lines->len; i++) {
        HearthHostLine *line = lines->pdata[i];
        if (strcmp(line->name, name) == 0) return strcmp(line->value, value) == 0;
    }
    return false;
}

static void describes_hosts(void)
{
    HearthHost big = {.cpu = (char *)"AMD EPYC 9354",
                      .isa = (char *)"avx2 avx512",
                      .isa_limit = (char *)"avx512",
                      .no_amx = (char *)"The system does not permit it.",
                      .cores = 32,
                      .threads = 64,
                      .nodes = 2,
                      .node_bytes = {256 * GIB, 128 * GIB},
                      .l2 = GIB / 1024,
                      .dram_total = 384 * GIB,
                      .gpu = (char *)"RTX 4090",
                      .vram_total = 24 * GIB};
    g_autoptr(GPtrArray) lines = hearth_host_lines_new(&big);
    CHECK(line_is(lines, "Cores", "32 cores, 64 hardware threads"));
    CHECK(line_is(lines, "Limited By", "HEARTH_CPU_MASK=avx512"));
    CHECK(line_is(lines, "Without AMX", "The system does not permit it."));
    CHECK(line_is(lines, "Caches", "L2 1.0\u00a0MiB"));
    CHECK(line_is(lines, "NUMA Nodes", "0: 256.0\u00a0GiB · 1: 128.0\u00a0GiB"));
    CHECK(line_is(lines, "Graphics", "RTX 4090, 24.0\u00a0GiB VRAM"));
    HearthHost plain = {.cores = 1, .threads = 1, .nodes = 1, .gpu_reason = (char *)"No driver."};
    g_autoptr(GPtrArray) few = hearth_host_lines_new(&plain);
    CHECK(line_is(few, "Processor", "Unknown"));
    CHECK(line_is(few, "Cores", "1 core"));
    CHECK(line_is(few, "Instruction Sets", "Portable C only"));
    CHECK(line_is(few, "Graphics", "No GPU in use. No driver."));
    HearthSample none = {0};
    HearthHost broken = {.error = (char *)"The probe failed."};
    g_autofree char *report = hearth_report_new(&broken, NULL, &none);
    CHECK(strstr(report, "The probe failed."));
    CHECK(strstr(report, "Model: None"));
}

typedef struct {
    char *text;
    bool done;
} Clip;

static void on_clip(GObject *clipboard, GAsyncResult *result, gpointer data)
{
    Clip *clip = data;
    clip->text = gdk_clipboard_read_text_finish(GDK_CLIPBOARD(clipboard), result, NULL);
    clip->done = true;
}

static bool is_read(void *clip) { return ((Clip *)clip)->done; }

static bool row_has(GtkWidget *page, const char *title, const char *text)
{
    GtkWidget *row = world_row(page, title);
    return row && strstr(adw_action_row_get_subtitle(ADW_ACTION_ROW(row)), text);
}

static void hardware_page(void)
{
    World *w = world_new();
    size_t size = 0;
    const void *ember = hearth_ember_data(&size);
    g_autofree char *path = world_file(w, "mine.gguf", ember, size);
    GtkWidget *page = hearth_hardware_window_new(w->app);
    GtkWindow *window = world_show(page, 700, 700);
    CHECK(world_seen(world_find(page, GTK_TYPE_LABEL, has_text, "No model is in memory.")));
    CHECK_INT(world_load(w, path), HEARTH_MODEL_READY);
    CHECK(world_wait(has_host, w->telemetry));
    CHECK(world_wait(has_sample, w->telemetry));
    world_run(0.2);
    const HearthHost *host = hearth_telemetry_get_host(w->telemetry);
    GtkWidget *row = world_row(page, "Processor");
    CHECK(row);
    if (row) CHECK_STR(adw_action_row_get_subtitle(ADW_ACTION_ROW(row)), host->cpu);
    CHECK(!world_seen(world_find(page, GTK_TYPE_LABEL, has_text, "No model is in memory.")));
    HearthModelInfo *info = hearth_worker_get_info(w->worker);
    g_autofree char *experts =
        hearth_amount_bytes(info->bytes[HEARTH_KIND_EXPERTS][HEARTH_DEVICE_DRAM]);
    CHECK(world_seen(world_find(page, GTK_TYPE_LABEL, has_text, "Routed Experts")));
    CHECK(world_seen(world_find(page, GTK_TYPE_LABEL, has_text, experts)));
    CHECK(row_has(page, "Writing Answers", "tokens per second; "));
    CHECK(row_has(page, "Reading Questions", "tokens at once; "));
    CHECK(row_has(page, "Loading a Model", "\nThis time it took 1 second"));
    if (!info->gpu) CHECK(row_has(page, "Computed By", info->gpu_reason));
    CHECK(!world_seen(world_row(page, "Placement Rules")));

    GtkWidget *copy =
        world_find(page, GTK_TYPE_BUTTON, has_tooltip, "Copy This Page as Text for a Bug Report");
    g_signal_emit_by_name(copy, "clicked");
    Clip clip = {0};
    gdk_clipboard_read_text_async(gtk_widget_get_clipboard(page), NULL, on_clip, &clip);
    CHECK(world_wait(is_read, &clip));
    CHECK_MSG(clip.text && strstr(clip.text, host->cpu), "%s", clip.text);
    CHECK(clip.text && strstr(clip.text, "File: mine.gguf"));
    CHECK(clip.text && !strstr(clip.text, w->folder)); /* whose folder it is stays out */
    CHECK(clip.text && strstr(clip.text, experts));
    CHECK(clip.text && strstr(clip.text, "Writing Answers: About "));
    g_free(clip.text);
    gtk_window_destroy(window);
    world_free(w);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void bars_share(void)
{
    static const char *const classes[] = {"experts", "dense", "kv"};
    for (int rtl = 0; rtl < 2; rtl++) {
        GtkWidget *bar = hearth_stacked_bar_new(classes, 3);
        gtk_widget_set_direction(bar, rtl ? GTK_TEXT_DIR_RTL : GTK_TEXT_DIR_LTR);
        hearth_stacked_bar_set(HEARTH_STACKED_BAR(bar), (double[]){50, 0, 25}, 3, 100);
        GtkWindow *window = world_show(bar, 400, 20);
        int width = gtk_widget_get_width(bar);
        GtkWidget *first = gtk_widget_get_first_child(bar), *last = gtk_widget_get_last_child(bar);
        CHECK_INT(gtk_widget_get_width(first), (width + 1) / 2);
        CHECK(!gtk_widget_get_child_visible(gtk_widget_get_next_sibling(first)));
        CHECK(abs(gtk_widget_get_width(last) - width / 4) <= 1);
        graphene_rect_t box;
        CHECK(gtk_widget_compute_bounds(first, bar, &box));
        CHECK_INT(lround(box.origin.x), rtl ? width - gtk_widget_get_width(first) : 0);
        gtk_window_destroy(window);
    }
}

static void graph_edges(void)
{
    const double few[] = {3, 7, 0};
    CHECK(hearth_graph_round_max(few, 3, 1) == 10);
    CHECK(hearth_graph_round_max(few, 1, 1) == 5);
    CHECK(hearth_graph_round_max(few, 0, 1) == 1);
    const double big[] = {101};
    CHECK(hearth_graph_round_max(big, 1, 1) == 200);
}

/* Counts pixels that are not the window's own, so that an empty picture is told from a line. */
static size_t pixels_drawn(GtkWidget *graph)
{
    int w = gtk_widget_get_width(graph), h = gtk_widget_get_height(graph);
    g_autoptr(GdkPaintable) paintable = gtk_widget_paintable_new(graph);
    GtkSnapshot *snapshot = gtk_snapshot_new();
    gdk_paintable_snapshot(paintable, snapshot, w, h);
    g_autoptr(GskRenderNode) node = gtk_snapshot_free_to_node(snapshot);
    if (!node) return 0;
    GskRenderer *renderer = gtk_native_get_renderer(gtk_widget_get_native(graph));
    g_autoptr(GdkTexture) texture =
        gsk_renderer_render_texture(renderer, node, &GRAPHENE_RECT_INIT(0, 0, (float)w, (float)h));
    g_autofree guchar *data = g_malloc((size_t)w * (size_t)h * 4);
    gdk_texture_download(texture, data, (size_t)w * 4);
    size_t n = 0;
    for (size_t i = 0; i < (size_t)w * (size_t)h; i++) n += data[i * 4 + 3] != 0;
    return n;
}

static void graph_draws(void)
{
    GtkWidget *graph = hearth_graph_new(11, false);
    GtkWindow *window = world_show(graph, 200, 100);
    double values[11];
    for (size_t i = 0; i < 11; i++) values[i] = 5;
    CHECK_INT(pixels_drawn(graph), 0);
    hearth_graph_set_values(HEARTH_GRAPH(graph), values, 11, 10);
    gtk_test_widget_wait_for_draw(graph);
    double all = gtk_widget_get_width(graph) * gtk_widget_get_height(graph);
    double half = (double)pixels_drawn(graph) / all;
    CHECK_MSG(half > 0.45 && half < 0.55, "%g of the picture", half);
    hearth_graph_set_values(HEARTH_GRAPH(graph), values, 6, 10); /* the newer half */
    gtk_test_widget_wait_for_draw(graph);
    double quarter = (double)pixels_drawn(graph) / all;
    CHECK_MSG(quarter > 0.2 && quarter < 0.3, "%g of the picture", quarter);
    gtk_window_destroy(window);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"amounts read well", amounts},
        {"files give models their names", names},
        {"the model button follows loading and unloading", shows_model},
        {"the model button tells why a file is no model", shows_failure},
        {"the model menu has room for all that it says", menu_has_room},
        {"the model menu lists models", lists_models},
        {"the gauge strip samples only while seen", strip_watches_while_seen},
        {"the gauge strip shows memory, context and speed", strip_shows},
        {"plans read well", plans_read_well},
        {"machines are described", describes_hosts},
        {"the hardware page and its report", hardware_page},
        {"stacked bars share their width", bars_share},
        {"graphs choose round edges", graph_edges},
        {"graphs draw what they are given", graph_draws},
    };
    gtk_disable_setlocale(); /* whatever the machine speaks, the tests read English */
    adw_init();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
