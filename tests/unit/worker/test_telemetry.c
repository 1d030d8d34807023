/* The gauges: sampled once a second and only while somebody looks, the machine probed once. */
#include <engine.h>

#include "error.h"
#include "telemetry.h"
#include "common.h"

typedef struct {
    int sampled, rated, host;
} Told;

static void count(HearthTelemetry *telemetry, int *n)
{
    (void)telemetry;
    (*n)++;
}

static HearthTelemetry *telemetry_new(HearthWorker *worker, Told *told)
{
    HearthTelemetry *telemetry = hearth_telemetry_new(worker);
    *told = (Told){0};
    g_signal_connect(telemetry, "sampled", G_CALLBACK(count), &told->sampled);
    g_signal_connect(telemetry, "rated", G_CALLBACK(count), &told->rated);
    g_signal_connect(telemetry, "host", G_CALLBACK(count), &told->host);
    return telemetry;
}

static void probes_the_machine_once(void)
{
    HearthWorker *worker = hearth_worker_new();
    Told told;
    HearthTelemetry *telemetry = telemetry_new(worker, &told);
    EngHost want;
    EngError err = {0};
    CHECK(hearth_telemetry_get_host(telemetry) == NULL);
    RUN_UNTIL(told.host > 0);
    CHECK_MSG(eng_probe(&want, &err), "%s", err.message);
    const HearthHost *host = hearth_telemetry_get_host(telemetry);
    CHECK_STR(host->cpu, want.cpu_name);
    CHECK_STR(host->isa, want.isa);
    CHECK_INT(host->cores, want.cores);
    CHECK(host->dram_total == want.dram_total && host->l2 == want.l2_bytes && !host->error);
    CHECK(host->nodes >= 1 && host->node_bytes[0] == want.node_bytes[0]);
    CHECK_MSG(*host->gpu || *host->gpu_reason, "neither a GPU nor the reason why not");
    g_autofree char *sentence = hearth_sentence(host->gpu_reason);
    CHECK_STR(host->gpu_reason, sentence);
    run_for(100);
    CHECK_INT(told.host, 1);
    g_object_unref(telemetry);
    worker_free(worker);
}

static void samples_only_while_watched(void)
{
    HearthWorker *worker = hearth_worker_new();
    Told told;
    HearthTelemetry *telemetry = telemetry_new(worker, &told);
    HearthSample samples[HEARTH_TELEMETRY_SECONDS];
    run_for(1300);
    CHECK_INT(told.sampled, 0);
    CHECK_INT(hearth_telemetry_get_sample(telemetry).time, 0);
    CHECK_INT(hearth_telemetry_get_samples(telemetry, samples, TEST_COUNT(samples)), 0);
    hearth_telemetry_watch(telemetry, true);
    hearth_telemetry_watch(telemetry, true);
    hearth_telemetry_watch(telemetry, false);
    RUN_UNTIL(told.sampled == 3);
    size_t n = hearth_telemetry_get_samples(telemetry, samples, TEST_COUNT(samples));
    CHECK_INT(n, 3);
    CHECK_INT(hearth_telemetry_get_samples(telemetry, samples + 1, 2), 2);
    CHECK(samples[0].time < samples[1].time && samples[1].time < samples[2].time);
    CHECK(samples[2].time == hearth_telemetry_get_sample(telemetry).time);
    CHECK_MSG(samples[2].time - samples[0].time > 1200000, "too often");
    CHECK(samples[2].process > 1 << 20 && samples[2].dram_total > samples[2].dram_available);
    CHECK(samples[2].model_dram == 0 && samples[2].context_size == 0);
    hearth_telemetry_watch(telemetry, false);
    int sampled = told.sampled;
    run_for(1500);
    CHECK_INT(told.sampled, sampled);
    g_object_unref(telemetry);
    worker_free(worker);
}

static void shows_the_model_and_its_speed(void)
{
    HearthWorker *worker = worker_new(endless());
    Told told;
    HearthTelemetry *telemetry = telemetry_new(worker, &told);
    double rates[1000], highest = 0;
    Answer answer;
    RUN_UNTIL(is_ready(worker));
    answer_begin(&answer, worker, babble_new());
    RUN_UNTIL(answer.text->len > 0);
    run_for(500);
    CHECK_INT(told.rated, 0); /* nobody looks */
    hearth_telemetry_watch(telemetry, true);
    gint64 time = g_get_monotonic_time();
    RUN_UNTIL(told.rated >= 8 && told.sampled >= 2);
    double seconds = (double)(g_get_monotonic_time() - time) / G_USEC_PER_SEC;
    CHECK_MSG(told.rated <= 5 * seconds + 1, "%d in %.1f s", told.rated, seconds);
    HearthSample sample = hearth_telemetry_get_sample(telemetry);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    CHECK(sample.model_dram == hearth_bytes_total(info->bytes, HEARTH_DEVICE_DRAM));
    CHECK(sample.model_dram > 8 << 20);
    CHECK_INT(sample.context_size, 1 << 16);
    CHECK(sample.context_used > 10 && sample.rate > 0);
    hearth_job_stop(answer.job);
    RUN_UNTIL(answer.ended);
    run_for(300);
    size_t n = hearth_telemetry_get_rates(telemetry, rates, TEST_COUNT(rates));
    CHECK(n >= 8 && n <= (size_t)told.rated);
    for (size_t i = 0; i < n; i++) highest = MAX(highest, rates[i]);
    CHECK(highest > 0 && rates[n - 1] == 0);
    hearth_telemetry_watch(telemetry, false);
    answer_clear(&answer);
    g_object_unref(telemetry);
    worker_free(worker);
}

/* Gone while its threads are at work. */
static void goes_away_at_once(void)
{
    HearthWorker *worker = hearth_worker_new();
    Told told;
    for (int i = 0; i < 5; i++) {
        HearthTelemetry *telemetry = telemetry_new(worker, &told);
        hearth_telemetry_watch(telemetry, true);
        g_signal_handlers_disconnect_matched(telemetry, G_SIGNAL_MATCH_FUNC, 0, 0, NULL, count,
                                             NULL);
        g_object_run_dispose(G_OBJECT(telemetry));
        g_object_unref(telemetry);
    }
    run_for(200);
    worker_free(worker);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"probes the machine once", probes_the_machine_once},
        {"samples only while watched", samples_only_while_watched},
        {"shows the model and its speed", shows_the_model_and_its_speed},
        {"goes away at once", goes_away_at_once},
    };
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    remove_endless();
    return rc;
}
