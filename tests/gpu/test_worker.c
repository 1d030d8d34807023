/* The worker with a simulated GPU: what it tells of VRAM, also when the GPU has failed. Ember gains
 * by one, so nothing needs to be asked for. */
#include "../unit/worker/common.h"

static uint64_t vram(HearthWorker *worker, HearthKind kind)
{
    return hearth_worker_get_info(worker)->bytes[kind][HEARTH_DEVICE_VRAM];
}

static uint64_t all(HearthWorker *worker, HearthDevice device)
{
    return hearth_model_info_total(hearth_worker_get_info(worker), device);
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

static void memory_is_told_by_kind(void)
{
    HearthWorker *worker = hearth_worker_new();
    hearth_worker_set_context(worker, CONTEXT, "f16");
    hearth_worker_load(worker, NULL, 0);
    RUN_UNTIL(hearth_worker_get_state(worker) != HEARTH_MODEL_LOADING);
    CHECK_INT(hearth_worker_get_state(worker), HEARTH_MODEL_READY);
    CHECK(vram(worker, HEARTH_KIND_ATTENTION) > 0 && vram(worker, HEARTH_KIND_BUFFERS) > 0);
    CHECK_INT(vram(worker, HEARTH_KIND_KV), 0);
    ask(worker);
    const HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK_INT(vram(worker, HEARTH_KIND_KV), hearth_model_info_kv_bytes(info, "f16") * CONTEXT);
    CHECK_INT(info->bytes[HEARTH_KIND_KV][HEARTH_DEVICE_DRAM], 0);
    uint64_t weights = all(worker, HEARTH_DEVICE_VRAM) + all(worker, HEARTH_DEVICE_DRAM) -
                       vram(worker, HEARTH_KIND_BUFFERS);
    setenv("SIM_FAIL", "cuGraphLaunch:1:700", 1);
    ask(worker);
    unsetenv("SIM_FAIL");
    CHECK_INT(all(worker, HEARTH_DEVICE_VRAM), 0);
    CHECK_INT(all(worker, HEARTH_DEVICE_DRAM), weights);
    worker_free(worker);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"memory_is_told_by_kind", memory_is_told_by_kind}};
    setenv("HEARTH_CUDA_LIBRARY", CUDA_SIM, 1);
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
