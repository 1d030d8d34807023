#include "cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cuda/image.h"

enum {
    REASON = 160,
    MAX_MODULES = 64,
    SHARED_WITHOUT_ASKING = 48 << 10,
    GRANULE = 16,
    GRAPHS = 128
};

typedef struct {
    EngCuAddress at;
    size_t bytes;
} Block;

struct EngCuda {
    EngDriver driver;
    EngCuDevice device;
    EngCudaInfo info;
    bool early; /* a kernel may start before the one before it has ended */
    EngCuContext *context;
    EngCuModule *modules[MAX_MODULES];
    int n_modules;
    EngCuFunction *functions[ENG_CU_KERNELS];
    size_t shared[ENG_CU_KERNELS]; /* dynamic shared memory that was asked for so far */
    EngCuStream *streams[ENG_CU_STREAMS];
    EngVec(Block) blocks;
    EngVec(void *) pinned;
    EngVec(void *) pins; /* memory of others */
    EngVec(EngCuGraphExec *) graphs;
    EngVec(EngCuEvent *) events;
    EngCuResult failed; /* the first call that failed; afterwards the device is lost */
    const char *failed_at;
};

static const struct {
    int kernel;
    const char *name;
} names[] = {
#define FORMAT(family, T) {ENG_CU_##family + ENG_TYPE_##T, #family "_" #T},
#define X(T)                                                                                       \
    FORMAT(matvec, T)                                                                              \
    FORMAT(matvec_few, T)                                                                          \
    FORMAT(experts_up, T) FORMAT(experts_down, T) FORMAT(matmul, T) FORMAT(matmul_experts, T)
    ENG_CU_FORMATS(X)
#undef X
#undef FORMAT
#define X(family)                                                                                  \
    {ENG_CU_##family, #family "_f16"}, {ENG_CU_##family + 1, #family "_f32"},                      \
        {ENG_CU_##family + 2, #family "_q8_0"},
        ENG_CU_KV_FAMILIES(X)
#undef X
#define X(name) {ENG_CU_##name, #name},
            ENG_CU_SINGLE(X)
#undef X
};

static const char *words(const EngCuda *c, EngCuResult rc)
{
    const char *text = NULL;
    return c->driver.error_string(rc, &text) == ENG_CU_SUCCESS && text ? text : "unknown error";
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool say(const EngCuda *c, EngCuResult rc, const char *doing, char *ret_reason)
{
    if (rc == ENG_CU_SUCCESS) return true;
    snprintf(ret_reason, REASON, "the GPU cannot be used: %s failed (%.80s)", doing, words(c, rc));
    return false;
}

static bool has_kernels(const EngCuda *c, char *ret_reason)
{
    if (eng_driver_has_kernels(&c->driver)) return true;
    snprintf(ret_reason, REASON, ENG_CUDA_NO_KERNELS);
    return false;
}

static bool load_images(EngCuda *c, char *ret_reason)
{
    for (const EngCuImage *image = eng_cuda_images; image->name; image++) {
        EngCuResult rc = c->driver.module_load(&c->modules[c->n_modules], image->data);
        if (!say(c, rc, "loading its kernels", ret_reason)) return false;
        c->n_modules++;
    }
    return true;
}

/* A driver that is a test's brings its kernels along, whatever the program was built with. */
static bool load_modules(EngCuda *c, char *ret_reason)
{
    if (!eng_dl_function(c->driver.cuda, "hearth_sim_image")) return load_images(c, ret_reason);
    static const char nothing[1] = "";
    EngCuResult rc = c->driver.module_load(&c->modules[0], nothing);
    if (!say(c, rc, "loading its kernels", ret_reason)) return false;
    c->n_modules = 1;
    return true;
}

static bool find_functions(EngCuda *c, char *ret_reason)
{
    for (size_t i = 0; i < ENG_LEN(names); i++) {
        EngCuFunction **f = &c->functions[names[i].kernel];
        for (int m = 0; m < c->n_modules && !*f; m++)
            if (c->driver.module_function(f, c->modules[m], names[i].name) != ENG_CU_SUCCESS)
                *f = NULL;
        if (*f) continue;
        snprintf(ret_reason, REASON, "this build of the program lacks the GPU kernel %s",
                 names[i].name);
        return false;
    }
    return true;
}

/* Kernels for 9.0 and later say when they need what was launched before (common.cuh), and may be
 * started before that is done. Others must not: a card may run an older one's PTX. 12.3: such
 * launches can be kept in graphs. */
static bool starts_early(const EngCuda *c)
{
    int version = 0, ptx = 0;
    return c->driver.launch_ex && c->info.capability >= 90 &&
           c->driver.driver_version(&version) == ENG_CU_SUCCESS && version >= 12030 &&
           c->driver.function_get(&ptx, ENG_CU_FUNC_PTX, c->functions[ENG_CU_quantize]) ==
               ENG_CU_SUCCESS &&
           ptx >= 90;
}

static bool describe(EngCuda *c, uint64_t free_before, char *ret_reason)
{
    int major = 0, minor = 0;
    const EngDriver *d = &c->driver;
    size_t free = 0, total = 0;
    EngCuResult rc = d->device_attribute(&major, ENG_CU_CAPABILITY_MAJOR, c->device);
    if (rc == ENG_CU_SUCCESS) rc = d->device_attribute(&minor, ENG_CU_CAPABILITY_MINOR, c->device);
    if (rc == ENG_CU_SUCCESS)
        rc = d->device_attribute(&c->info.processors, ENG_CU_PROCESSORS, c->device);
    if (rc == ENG_CU_SUCCESS)
        rc = d->device_attribute(&c->info.shared, ENG_CU_SHARED_OPTIN, c->device);
    if (rc == ENG_CU_SUCCESS) rc = d->memory_info(&free, &total);
    if (!say(c, rc, "asking for its properties", ret_reason)) return false;
    c->info.capability = 10 * major + minor;
    int read_only = 0; /* older drivers do not know the question */
    c->info.pins_read_only =
        d->device_attribute(&read_only, ENG_CU_PINS_READ_ONLY, c->device) == ENG_CU_SUCCESS &&
        read_only;
    c->early = starts_early(c);
    /* What the context and the kernels' code take, as far as the driver tells. */
    if (free_before > free) c->info.own = c->info.taken = c->info.peak = free_before - free;
    return true;
}

static bool make_streams(EngCuda *c, char *ret_reason)
{
    EngCuResult rc = ENG_CU_SUCCESS;
    for (int i = 0; i < ENG_CU_STREAMS && rc == ENG_CU_SUCCESS; i++)
        rc = c->driver.stream_new(&c->streams[i], ENG_CU_STREAM_NON_BLOCKING);
    return say(c, rc, "making a stream", ret_reason);
}

static bool open_device(EngCuda *c, const EngCudaSettings *s, char *ret_reason)
{
    uint64_t available = 0;
    if (!eng_driver_probe(&c->driver, s->ordinal, &c->device, c->info.name, &c->info.total,
                          &available, ret_reason) ||
        !eng_driver_complete(&c->driver, ret_reason) || !has_kernels(c, ret_reason))
        return false;
    c->info.budget = s->budget && s->budget < c->info.total ? s->budget : c->info.total;
    EngCuResult rc = c->driver.context_retain(&c->context, c->device);
    if (!say(c, rc, "starting it", ret_reason)) return false;
    return say(c, c->driver.context_set(c->context), "choosing it", ret_reason) &&
           load_modules(c, ret_reason) && find_functions(c, ret_reason) &&
           make_streams(c, ret_reason) && describe(c, available, ret_reason);
}

EngCuda *eng_cuda_open(const EngCudaSettings *settings, char ret_reason[160])
{
    const char *cuda = settings->cuda_library ? settings->cuda_library : eng_cuda_library(),
               *nvml = settings->nvml_library ? settings->nvml_library : eng_cuda_nvml_library();
    EngCuda *c = eng_alloc0(sizeof *c);
    eng_vec_reserve(&c->graphs, GRAPHS); /* a step, which allocates nothing, keeps them */
    if (!eng_driver_open(&c->driver, cuda, nvml, ret_reason)) {
        free(c->graphs.data);
        free(c);
        return NULL;
    }
    if (open_device(c, settings, ret_reason)) return c;
    eng_cuda_close(c);
    return NULL;
}

void eng_cuda_close(EngCuda *cuda)
{
    if (!cuda) return;
    const EngDriver *d = &cuda->driver;
    for (int i = 0; i < ENG_CU_STREAMS; i++)
        if (cuda->streams[i]) d->stream_wait(cuda->streams[i]);
    for (int i = 0; i < ENG_CU_STREAMS; i++)
        if (cuda->streams[i]) d->stream_free(cuda->streams[i]);
    for (size_t i = 0; i < cuda->events.n; i++) d->event_free(cuda->events.data[i]);
    for (size_t i = 0; i < cuda->graphs.n; i++) d->graph_exec_free(cuda->graphs.data[i]);
    for (size_t i = 0; i < cuda->blocks.n; i++) d->memory_free(cuda->blocks.data[i].at);
    for (size_t i = 0; i < cuda->pinned.n; i++) d->host_free(cuda->pinned.data[i]);
    for (size_t i = 0; i < cuda->pins.n; i++) d->host_unpin(cuda->pins.data[i]);
    free(cuda->blocks.data);
    free(cuda->pinned.data);
    free(cuda->pins.data);
    free(cuda->graphs.data);
    free(cuda->events.data);
    for (int i = 0; i < cuda->n_modules; i++) d->module_unload(cuda->modules[i]);
    if (cuda->context) d->context_release(cuda->device);
    eng_driver_close(&cuda->driver);
    free(cuda);
}

EngCudaInfo eng_cuda_info(const EngCuda *cuda) { return cuda->info; }

void eng_cuda_limit(EngCuda *cuda, uint64_t budget)
{
    cuda->info.budget = ENG_MIN(budget, cuda->info.total);
}

uint64_t eng_cuda_available(const EngCuda *cuda)
{
    size_t free = 0, total = 0;
    uint64_t left = cuda->info.budget - ENG_MIN(cuda->info.taken, cuda->info.budget);
    if (cuda->driver.memory_info(&free, &total) != ENG_CU_SUCCESS) return left;
    return ENG_MIN(left, free);
}

/* ---- what fails ------------------------------------------------------------------------------ */

static void check(EngCuda *c, EngCuResult rc, const char *doing)
{
    if (rc == ENG_CU_SUCCESS || c->failed) return;
    c->failed = rc;
    c->failed_at = doing;
}

static bool tell(const EngCuda *c, EngError *err)
{
    if (!c->failed) return true;
    return eng_fail(
        err, ENG_ERR_IO,
        "%s stopped working while %s (%.80s): load the model again or, if that does not "
        "help, restart the computer.",
        c->info.name, c->failed_at, words(c, c->failed));
}

void eng_cuda_enter(EngCuda *cuda)
{
    if (!cuda->failed) check(cuda, cuda->driver.context_set(cuda->context), "choosing it");
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void refuse(const EngCuda *c, size_t bytes, const char *what, uint64_t left, EngError *err)
{
    char wanted[32], have[32];
    eng_bytes_text(bytes, wanted);
    eng_bytes_text(left, have);
    eng_fail(err, ENG_ERR_MEMORY, "Cannot get %s of VRAM for %s: %s has %s left.", wanted, what,
             c->info.name, have);
}

void *eng_cuda_alloc(EngCuda *cuda, size_t bytes, const char *what, EngError *err)
{
    EngCuAddress at = 0;
    uint64_t left = cuda->info.budget - ENG_MIN(cuda->info.taken, cuda->info.budget);
    bytes = ENG_MAX((bytes + GRANULE - 1) / GRANULE * GRANULE, GRANULE);
    if (!tell(cuda, err)) return NULL;
    if (bytes > left) {
        refuse(cuda, bytes, what, left, err);
        return NULL;
    }
    EngCuResult rc = cuda->driver.memory_new(&at, bytes);
    if (rc == ENG_CU_OUT_OF_MEMORY) {
        size_t free = 0, total = 0;
        cuda->driver.memory_info(&free, &total);
        refuse(cuda, bytes, what, free, err);
        return NULL;
    }
    check(cuda, rc, "giving memory");
    if (!tell(cuda, err)) return NULL;
    check(cuda, cuda->driver.memory_fill(at, 0, bytes, cuda->streams[ENG_CU_COMPUTE]),
          "clearing memory");
    Block block = {at, bytes};
    eng_vec_push(&cuda->blocks, block);
    cuda->info.taken += bytes;
    cuda->info.peak = ENG_MAX(cuda->info.peak, cuda->info.taken);
    /* Copies on the other stream do not wait for the zeros. */
    return eng_cuda_sync(cuda, err) ? (void *)(uintptr_t)at : NULL;
}

void eng_cuda_free(EngCuda *cuda, void *memory)
{
    for (size_t i = 0; memory && !cuda->failed && i < cuda->blocks.n; i++) {
        Block block = cuda->blocks.data[i];
        if (block.at != (uintptr_t)memory) continue;
        cuda->blocks.data[i] = cuda->blocks.data[--cuda->blocks.n];
        cuda->info.taken -= block.bytes;
        check(cuda, cuda->driver.memory_free(block.at), "taking memory back");
        return;
    }
}

void *eng_cuda_alloc_host(EngCuda *cuda, size_t bytes, const char *what, EngError *err)
{
    void *memory = NULL;
    if (!tell(cuda, err)) return NULL;
    EngCuResult rc = cuda->driver.host_new(&memory, ENG_MAX(bytes, 1), ENG_CU_HOST_PORTABLE_MAPPED);
    if (rc == ENG_CU_SUCCESS) {
        eng_vec_push(&cuda->pinned, memory);
        return memset(memory, 0, bytes);
    }
    char wanted[32];
    eng_bytes_text(bytes, wanted);
    eng_fail(err, ENG_ERR_MEMORY,
             "Cannot get %s of DRAM that the GPU reaches for %s (%.80s): close other programs.",
             wanted, what, words(cuda, rc));
    return NULL;
}

void eng_cuda_free_host(EngCuda *cuda, void *memory)
{
    for (size_t i = 0; memory && !cuda->failed && i < cuda->pinned.n; i++) {
        if (cuda->pinned.data[i] != memory) continue;
        cuda->pinned.data[i] = cuda->pinned.data[--cuda->pinned.n];
        check(cuda, cuda->driver.host_free(memory), "taking the host's memory back");
        return;
    }
}

bool eng_cuda_pin(EngCuda *cuda, const void *memory, size_t bytes, char ret_reason[160])
{
    unsigned flags = ENG_CU_PIN_PORTABLE;
    if (cuda->info.pins_read_only) flags |= ENG_CU_PIN_READ_ONLY;
    EngCuResult rc =
        cuda->failed ? cuda->failed : cuda->driver.host_pin((void *)memory, bytes, flags);
    if (rc == ENG_CU_SUCCESS)
        eng_vec_push(&cuda->pins, (void *)memory);
    else
        snprintf(ret_reason, REASON, "the driver does not pin the model's memory (%.80s)",
                 words(cuda, rc));
    return rc == ENG_CU_SUCCESS;
}

bool eng_cuda_write(EngCuda *cuda, void *to, const void *from, size_t bytes, EngError *err)
{
    if (!cuda->failed && bytes)
        check(cuda,
              cuda->driver.memory_up((uintptr_t)to, from, bytes, cuda->streams[ENG_CU_COMPUTE]),
              "copying to it");
    return eng_cuda_sync(cuda, err);
}

bool eng_cuda_read(EngCuda *cuda, void *to, const void *from, size_t bytes, EngError *err)
{
    if (!cuda->failed && bytes)
        check(cuda,
              cuda->driver.memory_down(to, (uintptr_t)from, bytes, cuda->streams[ENG_CU_COMPUTE]),
              "copying from it");
    return eng_cuda_sync(cuda, err);
}

/* ---- work ------------------------------------------------------------------------------------ */

/* More shared memory than every card has must be asked for, once per kernel. */
static EngCuResult ask_shared(EngCuda *c, int kernel, size_t bytes)
{
    if (bytes <= SHARED_WITHOUT_ASKING || bytes <= c->shared[kernel]) return ENG_CU_SUCCESS;
    EngCuResult rc = c->driver.function_set(c->functions[kernel], ENG_CU_FUNC_SHARED, (int)bytes);
    if (rc == ENG_CU_SUCCESS) c->shared[kernel] = bytes;
    return rc;
}

static EngCuResult launch(EngCuda *c, EngCuFunction *f, EngCuGrid grid, void **params)
{
    if (!c->early)
        return c->driver.launch(f, grid.x, grid.y, grid.z, grid.threads, 1, 1,
                                (unsigned)grid.shared, c->streams[ENG_CU_COMPUTE], params, NULL);
    EngCuLaunchAttribute early = {.id = ENG_CU_LAUNCH_EARLY, .value = 1};
    EngCuLaunch how = {grid.x,
                       grid.y,
                       grid.z,
                       grid.threads,
                       1,
                       1,
                       (unsigned)grid.shared,
                       c->streams[ENG_CU_COMPUTE],
                       &early,
                       1};
    return c->driver.launch_ex(&how, f, params, NULL);
}

void eng_cuda_launch(EngCuda *cuda, int kernel, EngCuGrid grid, const void *args)
{
    if (cuda->failed || grid.x == 0 || grid.y == 0 || grid.z == 0) return;
    void *params[] = {(void *)args};
    EngCuResult rc = ask_shared(cuda, kernel, grid.shared);
    if (rc == ENG_CU_SUCCESS) rc = launch(cuda, cuda->functions[kernel], grid, params);
    check(cuda, rc, "starting a kernel");
}

void eng_cuda_enqueue_write(EngCuda *cuda, EngCuStreamOf stream, void *to, const void *pinned,
                            size_t bytes)
{
    if (cuda->failed) return;
    check(cuda, cuda->driver.memory_up((uintptr_t)to, pinned, bytes, cuda->streams[stream]),
          "copying to it");
}

EngCuEvent *eng_cuda_event_new(EngCuda *cuda, EngError *err)
{
    EngCuEvent *event = NULL;
    if (!cuda->failed) check(cuda, cuda->driver.event_new(&event, 0), "making an event");
    if (!tell(cuda, err)) return NULL;
    eng_vec_push(&cuda->events, event);
    return event;
}

void eng_cuda_event_mark(EngCuda *cuda, EngCuEvent *event, EngCuStreamOf stream)
{
    if (!cuda->failed)
        check(cuda, cuda->driver.event_mark(event, cuda->streams[stream]), "marking an event");
}

void eng_cuda_event_await(EngCuda *cuda, EngCuEvent *event, EngCuStreamOf stream)
{
    if (!cuda->failed)
        check(cuda, cuda->driver.stream_await(cuda->streams[stream], event, 0),
              "waiting for an event");
}

bool eng_cuda_event_has_happened(EngCuda *cuda, EngCuEvent *event)
{
    if (cuda->failed) return true;
    EngCuResult rc = cuda->driver.event_query(event);
    if (rc != ENG_CU_NOT_READY) check(cuda, rc, "computing");
    return rc != ENG_CU_NOT_READY;
}

void eng_cuda_event_wait(EngCuda *cuda, EngCuEvent *event)
{
    if (!cuda->failed) check(cuda, cuda->driver.event_wait(event), "computing");
}

double eng_cuda_event_seconds(EngCuda *cuda, EngCuEvent *from, EngCuEvent *to)
{
    float ms = 0;
    if (cuda->failed || cuda->driver.event_time(&ms, from, to) != ENG_CU_SUCCESS) return 0;
    return (double)ms * 1e-3;
}

bool eng_cuda_capture_begin(EngCuda *cuda)
{
    return !cuda->failed && cuda->driver.capture_begin(cuda->streams[ENG_CU_COMPUTE],
                                                       ENG_CU_CAPTURE_THREAD) == ENG_CU_SUCCESS;
}

EngCuGraphExec *eng_cuda_capture_end(EngCuda *cuda)
{
    EngCuGraph *graph = NULL;
    EngCuGraphExec *exec = NULL;
    check(cuda, cuda->driver.capture_end(cuda->streams[ENG_CU_COMPUTE], &graph),
          "recording its work");
    if (!cuda->failed) check(cuda, cuda->driver.graph_new(&exec, graph, 0), "keeping its work");
    if (graph) cuda->driver.graph_free(graph);
    if (exec) eng_vec_push(&cuda->graphs, exec);
    return cuda->failed ? NULL : exec;
}

void eng_cuda_graph_launch(EngCuda *cuda, EngCuGraphExec *graph)
{
    if (!cuda->failed)
        check(cuda, cuda->driver.graph_launch(graph, cuda->streams[ENG_CU_COMPUTE]),
              "starting a step");
}

void eng_cuda_graph_free(EngCuda *cuda, EngCuGraphExec *graph)
{
    for (size_t i = 0; !cuda->failed && i < cuda->graphs.n; i++) {
        if (cuda->graphs.data[i] != graph) continue;
        cuda->graphs.data[i] = cuda->graphs.data[--cuda->graphs.n];
        check(cuda, cuda->driver.graph_exec_free(graph), "forgetting its work");
        return;
    }
}

bool eng_cuda_failed(EngCuda *cuda)
{
    for (int i = 0; i < ENG_CU_STREAMS && !cuda->failed; i++) {
        EngCuResult rc = cuda->driver.stream_query(cuda->streams[i]);
        if (rc != ENG_CU_NOT_READY) check(cuda, rc, "computing");
    }
    return cuda->failed != ENG_CU_SUCCESS;
}

bool eng_cuda_sync(EngCuda *cuda, EngError *err)
{
    if (!cuda->failed)
        check(cuda, cuda->driver.stream_wait(cuda->streams[ENG_CU_COMPUTE]), "computing");
    return tell(cuda, err);
}
