/* The worker with a simulated GPU: what it tells of VRAM, also when the GPU has failed. Ember gains
 * by one, so nothing needs to be asked for. */
#include "error.h"
#include "../unit/worker/common.h"

static uint64_t vram(HearthWorker *worker, HearthKind kind)
{
    return hearth_worker_get_info(worker)->bytes[kind][HEARTH_DEVICE_VRAM];
}

static uint64_t all(HearthWorker *worker, HearthDevice device)
{
    return hearth_bytes_total(hearth_worker_get_info(worker)->bytes, device);
}

static void ask(HearthWorker *worker)
{
    Answer answer;
    answer_begin(&answer, worker, request_new("Hi", 2));
    RUN_UNTIL(answer.ended);
    CHECK(!hearth_job_get_error(answer.job));
    CHECK(answer.text->len > 0);
    answer_clear(&answer);
    run_for(300); /* the information may come after the answer's end */
}

static HearthModelState load(HearthWorker *worker, const HearthModelSettings *settings)
{
    hearth_worker_load(worker, NULL, settings);
    RUN_UNTIL(hearth_worker_get_state(worker) != HEARTH_MODEL_LOADING);
    return hearth_worker_get_state(worker);
}

static void memory_is_told_by_kind(void)
{
    HearthWorker *worker = hearth_worker_new();
    HearthModelSettings settings = {.context = CONTEXT};
    CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    CHECK(vram(worker, HEARTH_KIND_ATTENTION) > 0 && vram(worker, HEARTH_KIND_BUFFERS) > 0);
    CHECK_INT(vram(worker, HEARTH_KIND_KV), 0);
    ask(worker);
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_INT(vram(worker, HEARTH_KIND_KV), hearth_model_info_kv_bytes(info, "f16") * CONTEXT);
    CHECK_INT(info->bytes[HEARTH_KIND_KV][HEARTH_DEVICE_DRAM], 0);
    CHECK_INT(vram(worker, HEARTH_KIND_CACHE), 0); /* all experts are there */
    uint64_t experts = vram(worker, HEARTH_KIND_EXPERTS);
    settings.rules = "_exps device=cpu\n. device=gpu0\nexperts=lru";
    CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    info = hearth_worker_get_info(worker);
    CHECK(vram(worker, HEARTH_KIND_CACHE) > 0);
    CHECK_INT(info->plan->bytes[HEARTH_KIND_CACHE][HEARTH_DEVICE_VRAM],
              vram(worker, HEARTH_KIND_CACHE));
    CHECK_INT(vram(worker, HEARTH_KIND_EXPERTS), 0);
    CHECK_INT(info->bytes[HEARTH_KIND_EXPERTS][HEARTH_DEVICE_DRAM], experts);
    ask(worker);
    uint64_t dram = all(worker, HEARTH_DEVICE_DRAM) + all(worker, HEARTH_DEVICE_VRAM) -
                    vram(worker, HEARTH_KIND_BUFFERS) - vram(worker, HEARTH_KIND_CACHE);
    setenv("SIM_FAIL", "cuGraphLaunch:1:700", 1);
    ask(worker);
    unsetenv("SIM_FAIL");
    CHECK_INT(all(worker, HEARTH_DEVICE_VRAM), 0);
    CHECK_INT(all(worker, HEARTH_DEVICE_DRAM), dram);
    worker_free(worker);
}

/* Of a GPU that fails while it answers the answer goes on, and it is told at once. */
static void failing_is_told(void)
{
    HearthWorker *worker = hearth_worker_new();
    HearthModelSettings settings = {.context = CONTEXT};
    CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_INT(info->gpu_state, HEARTH_GPU_WORKS);
    CHECK_STR(info->gpu, "Simulated GPU");
    CHECK(!info->gpu_reason && info->plan && info->plan->gpu);
    CHECK(info->load_s > 0);
    ask(worker);
    uint64_t weights = all(worker, HEARTH_DEVICE_VRAM) + all(worker, HEARTH_DEVICE_DRAM) -
                       vram(worker, HEARTH_KIND_BUFFERS);
    setenv("SIM_FAIL", "cuGraphLaunch:1:700", 1);
    ask(worker);
    unsetenv("SIM_FAIL");
    CHECK_INT(all(worker, HEARTH_DEVICE_VRAM), 0);
    CHECK_INT(all(worker, HEARTH_DEVICE_DRAM), weights);
    info = hearth_worker_get_info(worker);
    CHECK_INT(info->gpu_state, HEARTH_GPU_FAILED);
    CHECK(!info->gpu && g_str_has_prefix(info->gpu_reason, "Simulated GPU stopped working while "));
    CHECK(g_str_has_suffix(info->gpu_reason, "."));
    CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    CHECK_INT(hearth_worker_get_info(worker)->gpu_state, HEARTH_GPU_WORKS);

    /* While it is loaded: the first memory that it wants. */
    setenv("SIM_FAIL", "cuMemAlloc_v2:1:2", 1);
    CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    unsetenv("SIM_FAIL");
    info = hearth_worker_get_info(worker);
    CHECK_INT(info->gpu_state, HEARTH_GPU_FAILED);
    CHECK_MSG(strstr(info->gpu_reason, "VRAM"), "%s", info->gpu_reason);
    ask(worker);
    worker_free(worker);
}

static void settings_hold(void)
{
    HearthWorker *worker = hearth_worker_new();
    HearthModelSettings off = {.no_gpu = true},
                        tight = {.vram = (uint64_t)100 << 20, .context = CONTEXT},
                        wrong = {.rules = (char *)"# all\n. device=gpu0\nnobody device=cpu\n"},
                        blank = {.rules = (char *)" # nothing\n\n", .context = CONTEXT},
                        cpu = {.rules = (char *)"attn device=cpu\n", .context = CONTEXT};
    CHECK_INT(load(worker, &off), HEARTH_MODEL_READY);
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_INT(info->gpu_state, HEARTH_GPU_NONE);
    CHECK_STR(info->gpu_reason, "It is switched off.");
    CHECK(info->settings.no_gpu);
    CHECK_INT(all(worker, HEARTH_DEVICE_VRAM), 0);
    CHECK(info->plan && !info->plan->gpu && info->plan->decode_tok_s > 0);

    /* What cannot be is told without letting go of the model that is there, and with none. */
    HearthWorker *empty = hearth_worker_new();
    CHECK_INT(load(empty, &tight), HEARTH_MODEL_FAILED);
    CHECK_INT(load(worker, &tight), HEARTH_MODEL_READY);
    CHECK(hearth_worker_get_info(worker)->settings.no_gpu);
    const char *error = hearth_worker_get_error(worker);
    CHECK_MSG(strstr(error, "of VRAM are needed") && strstr(error, "0.09 GiB"), "%s", error);
    CHECK_STR(error, hearth_worker_get_error(empty));
    CHECK_INT(load(empty, &wrong), HEARTH_MODEL_FAILED);
    CHECK_INT(load(worker, &wrong), HEARTH_MODEL_READY);
    error = hearth_worker_get_error(worker);
    CHECK_MSG(strstr(error, "Line 3 of the rules"), "%s", error);
    CHECK_STR(error, hearth_worker_get_error(empty));
    worker_free(empty);
    CHECK_INT(load(worker, &blank), HEARTH_MODEL_READY);
    uint64_t attention = vram(worker, HEARTH_KIND_ATTENTION);
    CHECK_INT(load(worker, &cpu), HEARTH_MODEL_READY);
    info = hearth_worker_get_info(worker);
    CHECK(vram(worker, HEARTH_KIND_ATTENTION) < attention / 10); /* the norms */
    CHECK_STR(info->settings.rules, "attn device=cpu\n");
    worker_free(worker);

    setenv("SIM_MEMORY", "100000000", 1);
    worker = hearth_worker_new();
    CHECK_INT(load(worker, NULL), HEARTH_MODEL_READY);
    info = hearth_worker_get_info(worker);
    CHECK_INT(info->gpu_state, HEARTH_GPU_NO_ROOM);
    CHECK_STR(info->gpu_reason, "Not enough of its VRAM is free.");
    worker_free(worker);
    unsetenv("SIM_MEMORY");
}

/* ---- planning -------------------------------------------------------------------------------- */

typedef struct {
    HearthPlan *plan;
    GError *error;
    bool done;
} Planned;

static void on_planned(GObject *worker, GAsyncResult *result, void *data)
{
    Planned *planned = data;
    planned->plan = hearth_worker_plan_finish(HEARTH_WORKER(worker), result, &planned->error);
    planned->done = true;
}

static Planned plan(HearthWorker *worker, const char *path, const HearthModelSettings *settings)
{
    Planned planned = {0};
    hearth_worker_plan_async(worker, path, settings, NULL, on_planned, &planned);
    RUN_UNTIL(planned.done);
    return planned;
}

static void clear(Planned *planned)
{
    hearth_plan_unref(planned->plan);
    g_clear_error(&planned->error);
}

/* What is planned is what is loaded then, whether the model is there already or not. */
static void plans_are_kept(void)
{
    HearthWorker *worker = hearth_worker_new();
    HearthModelSettings settings = {.context = CONTEXT}, again;
    Planned before = plan(worker, "", &settings);
    CHECK(before.plan && !before.error);
    CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++)
        CHECK_INT(before.plan->bytes[kind][HEARTH_DEVICE_VRAM],
                  info->plan->bytes[kind][HEARTH_DEVICE_VRAM]);
    CHECK(before.plan->decode_tok_s == info->plan->decode_tok_s);
    CHECK_STR(before.plan->gpu, "Simulated GPU");
    CHECK(!before.plan->assumed);

    /* By the loaded model itself. */
    Planned while_loaded = plan(worker, NULL, &settings);
    CHECK(while_loaded.plan);
    CHECK_INT(while_loaded.plan->bytes[HEARTH_KIND_ATTENTION][HEARTH_DEVICE_VRAM],
              info->plan->bytes[HEARTH_KIND_ATTENTION][HEARTH_DEVICE_VRAM]);
    clear(&while_loaded);
    clear(&before);

    again = settings;
    again.no_gpu = true;
    Planned without = plan(worker, NULL, &again);
    CHECK(without.plan && !without.plan->gpu);
    CHECK_STR(without.plan->gpu_reason, "It is switched off.");
    CHECK_INT(hearth_bytes_total(without.plan->bytes, HEARTH_DEVICE_VRAM), 0);
    clear(&without);
    again.no_gpu = false;
    again.vram = (uint64_t)100 << 20;
    Planned tight = plan(worker, NULL, &again);
    CHECK(!tight.plan && strstr(tight.error->message, "0.09 GiB"));
    CHECK_INT(tight.error->code, HEARTH_ERROR_FAILED);
    clear(&tight);
    again.vram = 0;
    again.rules = (char *)"# none\nblk.0. device=gpu7";
    Planned wrong = plan(worker, NULL, &again);
    CHECK(!wrong.plan && g_str_has_prefix(wrong.error->message, "Line 2 of the rules: "));
    CHECK_INT(wrong.error->code, HEARTH_ERROR_USAGE);
    clear(&wrong);
    Planned nowhere = plan(worker, "/nowhere/at/all.gguf", &settings);
    CHECK(!nowhere.plan && nowhere.error);
    clear(&nowhere);
    worker_free(worker);
}

/* A size of VRAM makes no GPU where there is none, unlike in hearth-cli plan. */
static void no_gpu_is_supposed(void)
{
    setenv("HEARTH_CUDA_LIBRARY", "none", 1);
    HearthWorker *worker = hearth_worker_new();
    HearthModelSettings settings = {.vram = (uint64_t)24 << 30};
    for (int loaded = 0; loaded < 2; loaded++) {
        Planned planned = plan(worker, NULL, &settings);
        CHECK(planned.plan && !planned.plan->gpu && planned.plan->gpu_reason);
        clear(&planned);
        if (!loaded) CHECK_INT(load(worker, &settings), HEARTH_MODEL_READY);
    }
    CHECK_INT(hearth_worker_get_info(worker)->gpu_state, HEARTH_GPU_NONE);
    worker_free(worker);
    setenv("HEARTH_CUDA_LIBRARY", CUDA_SIM, 1);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"memory_is_told_by_kind", memory_is_told_by_kind},
                                 {"failing_is_told", failing_is_told},
                                 {"settings_hold", settings_hold},
                                 {"plans_are_kept", plans_are_kept},
                                 {"no_gpu_is_supposed", no_gpu_is_supposed}};
    setenv("HEARTH_CUDA_LIBRARY", CUDA_SIM, 1);
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
