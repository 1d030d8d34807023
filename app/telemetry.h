/* What the gauges show: sampled once a second on a thread of GLib's pool, and only while somebody
 * looks; the speed five times a second from the worker. Main thread only. */
#ifndef HEARTH_TELEMETRY_H
#define HEARTH_TELEMETRY_H

#include "worker/worker.h"

#define HEARTH_TYPE_TELEMETRY (hearth_telemetry_get_type())
G_DECLARE_FINAL_TYPE(HearthTelemetry, hearth_telemetry, HEARTH, TELEMETRY, GObject)

#define HEARTH_TELEMETRY_SECONDS 60

typedef struct {
    gint64 time;         /* monotonic, µs; 0 = nothing sampled yet */
    uint64_t model_dram; /* weights, KV and buffers of the loaded model, bytes */
    uint64_t model_vram;
    uint64_t process; /* resident bytes of this program */
    uint64_t dram_total, dram_available;
    uint64_t vram_total,
        vram_available; /* of the GPUs that the model uses, or the first; 0 = none */
    double rate;        /* tokens per second, mean of the second */
    int context_used, context_size;
} HearthSample;

typedef struct {
    char *cpu, *isa, *isa_limit; /* isa: names separated by blanks */
    char *no_amx; /* a sentence: why the system keeps it from the program; else NULL */
    int cores, threads, nodes;
    uint64_t l1d, l2, l3; /* bytes of one cache; 0 = unknown */
    uint64_t node_bytes[16];
    uint64_t dram_total;
    char *gpu, *gpu_reason; /* gpu "" = none; the reason: a sentence */
    uint64_t vram_total;
    int n_gpus; /* of these, gpu is the first */
    struct {
        char *name;
        uint64_t vram_total;
    } gpus[4];
    char *error; /* the probe itself failed: the sentence, else NULL */
} HearthHost;

/* Signals: "sampled" (1 Hz), "rated" (5 Hz while an answer is written), "host" (once). */

HearthTelemetry *hearth_telemetry_new(HearthWorker *worker);

/* Counts: every true wants a false. Nothing is sampled at zero. */
void hearth_telemetry_watch(HearthTelemetry *telemetry, bool watch);

HearthSample hearth_telemetry_get_sample(HearthTelemetry *telemetry);

/* At most `max` of the last 60 samples, oldest first; returns how many. */
size_t hearth_telemetry_get_samples(HearthTelemetry *telemetry, HearthSample *ret, size_t max);

/* The same for the last speeds (5 Hz). */
size_t hearth_telemetry_get_rates(HearthTelemetry *telemetry, double *ret, size_t max);

/* NULL until it is known ("host"); borrowed. */
const HearthHost *hearth_telemetry_get_host(HearthTelemetry *telemetry);

#endif
