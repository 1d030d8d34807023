/* A driver that is none: the calls of engine/cuda/driver.h, with kernels run as fibers (fiber.h) and
 * each stream an OS thread with a queue, so that the host and the device wait for each other as they
 * do on hardware. It checks what hardware leaves to chance: copies outside of allocations, grids and
 * shared memory beyond a card's limits.
 *
 * SIM_DEVICES: cards (1), of which each has its own memory and context. SIM_MEMORY: bytes of a card
 * (8 GiB), SIM_CONTEXT: those that a context takes (0). SIM_FAIL="cuMemAlloc_v2:3:2": the third call of that name
 * and all later ones fail with error 2; an error from 700 on is the end of the device
 * that was called, and every later call for it fails with it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fiber.h"

#define SIM extern "C" __attribute__((visibility("default")))

typedef std::function<void()> Work;

struct Stream {
    int device;
    std::thread thread;
    std::mutex lock;
    std::condition_variable wake, idle;
    std::deque<Work> queue;
    bool busy = false, end = false, recording = false;
    std::vector<Work> record;
};

/* A mark counts up `marked`; that many are `done` when the stream has come to it. */
struct Event {
    std::mutex lock;
    std::condition_variable wake;
    long marked = 0, done = 0;
    std::chrono::steady_clock::time_point at;
};

static std::atomic<const Stream *> computing; /* the last that began a kernel and is at it */

struct Graph {
    std::vector<Work> work;
};

enum { MAX_DEVICES = 4, HOST = -1 };
struct Block {
    size_t bytes;
    int device; /* or HOST: pinned */
};

static std::mutex lock; /* of what follows */
static std::map<uintptr_t, Block> blocks;
static std::map<uintptr_t, size_t> pins; /* memory of others; it may have blocks in its pages */
static size_t taken[MAX_DEVICES], peak[MAX_DEVICES];
static std::map<std::string, long> calls;
static std::atomic<int> lost[MAX_DEVICES];
static thread_local int current; /* whose context calls are made in */

enum { OK, BAD_VALUE = 1, NO_MEMORY = 2, NOT_FOUND = 500, NOT_READY = 600, LOST = 700, ALREADY_PINNED = 712 };
enum { MAX_THREADS = 1024, SHARED_OPTIN = 99 << 10, SHARED = 48 << 10, MAX_GRID_YZ = 65535 };

static size_t memory_of_card()
{
    const char *text = getenv("SIM_MEMORY");
    return text ? strtoull(text, nullptr, 0) : (size_t)8 << 30;
}

/* Counts the call; what it is to fail with, or OK. */
static int enter(const char *name)
{
    std::lock_guard<std::mutex> hold(lock);
    long n = ++calls[name];
    if (lost[current]) return lost[current];
    const char *fail = getenv("SIM_FAIL");
    size_t length = strlen(name);
    if (!fail || strncmp(fail, name, length) != 0 || fail[length] != ':') return OK;
    long from = 0;
    int error = 0;
    if (sscanf(fail + length, ":%ld:%d", &from, &error) != 2 || n < from) return OK;
    if (error >= LOST) lost[current] = error;
    return error;
}

#define ENTER                                                                                      \
    do {                                                                                           \
        int rc_ = enter(__func__);                                                                 \
        if (rc_ != OK) return rc_;                                                                 \
    } while (0)

SIM long hearth_sim_count(const char *name)
{
    std::lock_guard<std::mutex> hold(lock);
    return calls[name];
}

/* The most bytes of a card, "0" …, taken at once since it was asked last. */
SIM long hearth_sim_peak(const char *card)
{
    std::lock_guard<std::mutex> hold(lock);
    int device = card ? atoi(card) : 0;
    long most = (long)peak[device];
    peak[device] = taken[device];
    return most;
}

SIM void hearth_sim_image(void) {} /* its being there says that kernels come with the driver */

/* ---- devices --------------------------------------------------------------------------------- */

SIM int cuInit(unsigned flags) { return flags ? BAD_VALUE : enter(__func__); }
SIM int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return OK;
}
static int devices()
{
    const char *text = getenv("SIM_DEVICES");
    return text ? atoi(text) : 1;
}
SIM int cuDeviceGetCount(int *count)
{
    *count = devices();
    return enter(__func__);
}
SIM int cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return ordinal >= 0 && ordinal < devices() ? OK : BAD_VALUE;
}
SIM int cuDeviceGetName(char *name, int size, int)
{
    snprintf(name, (size_t)size, "Simulated GPU");
    return OK;
}
SIM int cuDeviceTotalMem_v2(size_t *bytes, int)
{
    *bytes = memory_of_card();
    return OK;
}
SIM int cuDeviceGetPCIBusId(char *id, int size, int device)
{
    snprintf(id, (size_t)size, "0000:%02d:00.0", device);
    return OK;
}
/* Shared memory of other cards: KiB in HEARTH_SIM_SHARED. */
static int shared_optin()
{
    const char *wanted = getenv("HEARTH_SIM_SHARED");
    return wanted ? atoi(wanted) << 10 : SHARED_OPTIN;
}
SIM int cuDeviceGetAttribute(int *value, int attribute, int)
{
    switch (attribute) {
    case 75: *value = 8; return OK;
    case 76: *value = 6; return OK;
    case 16: *value = 4; return OK;
    case 113: *value = 1; return OK;
    case 97: *value = shared_optin(); return OK;
    default: return BAD_VALUE;
    }
}
SIM int cuGetErrorString(int error, const char **text)
{
    *text = error == NO_MEMORY ? "out of memory" : error >= LOST ? "device lost" : "simulated";
    return OK;
}

static int context[MAX_DEVICES];
static long contexts[MAX_DEVICES];
SIM int cuDevicePrimaryCtxRetain(int **ret, int device)
{
    ENTER;
    contexts[device]++;
    *ret = &context[device];
    return OK;
}
SIM int cuDevicePrimaryCtxRelease_v2(int device)
{
    contexts[device]--;
    lost[device] = 0; /* opened anew, it is as new */
    return OK;
}
static size_t memory_free(int device)
{
    const char *text = getenv("SIM_CONTEXT");
    size_t own = text && contexts[device] > 0 ? strtoull(text, nullptr, 0) : 0,
           used = taken[device] + own;
    return used < memory_of_card() ? memory_of_card() - used : 0;
}
SIM int cuCtxSetCurrent(const int *ctx)
{
    current = (int)(ctx - context);
    return enter(__func__);
}

/* Hardware refuses a stream of another context, too. */
static bool is_foreign(const Stream *s)
{
    if (s->device != current)
        fprintf(stderr, "a stream of device %d in the context of device %d\n", s->device, current);
    return s->device != current;
}

/* ---- kernels --------------------------------------------------------------------------------- */

struct Function {
    const FiberKernel *kernel;
    size_t shared;
};

static std::map<std::string, Function> functions;

SIM int cuModuleLoadData(void **module, const void *)
{
    ENTER;
    *module = &functions;
    return OK;
}
SIM int cuModuleUnload(void *) { return OK; }
SIM int cuModuleGetFunction(void **ret, void *, const char *name)
{
    const FiberKernel *kernel = fiber_find(name);
    if (!kernel) return NOT_FOUND;
    std::lock_guard<std::mutex> hold(lock);
    Function &f = functions[name];
    if (!f.kernel) f = {kernel, SHARED};
    *ret = &f;
    return OK;
}
SIM int cuFuncSetAttribute(void *function, int attribute, int value)
{
    ENTER;
    if (attribute != 8 || value > shared_optin()) return BAD_VALUE;
    static_cast<Function *>(function)->shared = (size_t)value;
    return OK;
}

/* ---- streams --------------------------------------------------------------------------------- */

static void serve(Stream *s)
{
    std::unique_lock<std::mutex> hold(s->lock);
    for (;;) {
        s->wake.wait(hold, [s] { return s->end || !s->queue.empty(); });
        if (s->queue.empty()) break;
        Work work = std::move(s->queue.front());
        s->queue.pop_front();
        s->busy = true;
        hold.unlock();
        work();
        hold.lock();
        s->busy = false;
        if (s->queue.empty()) s->idle.notify_all();
    }
    fiber_thread_end();
}

SIM int cuStreamCreate(Stream **ret, unsigned)
{
    ENTER;
    Stream *s = new Stream;
    s->device = current;
    s->thread = std::thread(serve, s);
    *ret = s;
    return OK;
}
SIM int cuStreamDestroy_v2(Stream *s)
{
    {
        std::lock_guard<std::mutex> hold(s->lock);
        s->end = true;
    }
    s->wake.notify_all();
    s->thread.join();
    delete s;
    return OK;
}

static int enqueue(Stream *s, Work work)
{
    std::lock_guard<std::mutex> hold(s->lock);
    if (s->recording)
        s->record.push_back(std::move(work));
    else
        s->queue.push_back(std::move(work));
    s->wake.notify_all();
    return OK;
}

SIM int cuStreamSynchronize(Stream *s)
{
    ENTER;
    std::unique_lock<std::mutex> hold(s->lock);
    if (s->recording) return BAD_VALUE;
    s->idle.wait(hold, [s] { return s->queue.empty() && !s->busy; });
    return OK;
}
SIM int cuStreamQuery(Stream *s)
{
    ENTER;
    std::lock_guard<std::mutex> hold(s->lock);
    return s->queue.empty() && !s->busy ? OK : NOT_READY;
}

/* ---- events ---------------------------------------------------------------------------------- */

SIM int cuEventCreate(Event **ret, unsigned)
{
    ENTER;
    *ret = new Event;
    return OK;
}
SIM int cuEventDestroy_v2(Event *e)
{
    delete e;
    return OK;
}
static bool is_recording(Stream *s)
{
    std::lock_guard<std::mutex> hold(s->lock);
    return s->recording;
}
SIM int cuEventRecord(Event *e, Stream *s)
{
    ENTER;
    if (is_recording(s)) return BAD_VALUE; /* hardware can; nothing here does */
    long mark;
    {
        std::lock_guard<std::mutex> hold(e->lock);
        mark = ++e->marked;
    }
    return enqueue(s, [=] {
        std::lock_guard<std::mutex> hold(e->lock);
        e->done = mark;
        e->at = std::chrono::steady_clock::now();
        e->wake.notify_all();
    });
}
static void wait_event(Event *e, long mark)
{
    std::unique_lock<std::mutex> hold(e->lock);
    e->wake.wait(hold, [=] { return e->done >= mark; });
}
SIM int cuStreamWaitEvent(Stream *s, Event *e, unsigned)
{
    ENTER;
    if (is_recording(s)) return BAD_VALUE;
    std::lock_guard<std::mutex> hold(e->lock);
    return enqueue(s, [e, mark = e->marked] { wait_event(e, mark); });
}
SIM int cuEventQuery(Event *e)
{
    ENTER;
    std::lock_guard<std::mutex> hold(e->lock);
    return e->done >= e->marked ? OK : NOT_READY;
}
SIM int cuEventSynchronize(Event *e)
{
    ENTER;
    long mark;
    {
        std::lock_guard<std::mutex> hold(e->lock);
        mark = e->marked;
    }
    wait_event(e, mark);
    return OK;
}

SIM int cuEventElapsedTime(float *ms, Event *from, Event *to)
{
    ENTER;
    std::scoped_lock hold(from->lock, to->lock);
    if (!from->done || !to->done) return BAD_VALUE;
    if (from->done < from->marked || to->done < to->marked) return NOT_READY;
    *ms = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return OK;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

SIM int cuStreamBeginCapture_v2(Stream *s, int)
{
    ENTER;
    std::lock_guard<std::mutex> hold(s->lock);
    s->recording = true;
    s->record.clear();
    return OK;
}
SIM int cuStreamEndCapture(Stream *s, Graph **ret)
{
    std::lock_guard<std::mutex> hold(s->lock);
    s->recording = false;
    *ret = new Graph{std::move(s->record)};
    return enter(__func__);
}
SIM int cuGraphInstantiateWithFlags(Graph **exec, const Graph *graph, unsigned long long)
{
    ENTER;
    *exec = new Graph(*graph);
    return OK;
}
SIM int cuGraphLaunch(const Graph *exec, Stream *s)
{
    ENTER;
    if (is_foreign(s)) return BAD_VALUE;
    return enqueue(s, [exec] {
        for (const Work &work : exec->work)
            work();
    });
}
SIM int cuGraphExecDestroy(Graph *exec)
{
    delete exec;
    return OK;
}
SIM int cuGraphDestroy(Graph *graph)
{
    delete graph;
    return OK;
}

SIM int cuLaunchKernel(const Function *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                       unsigned by, unsigned bz, unsigned shared, Stream *s, void **params, void **)
{
    ENTER;
    size_t threads = (size_t)bx * by * bz;
    bool fits = gx && gy && gz && threads && threads <= MAX_THREADS && shared <= f->shared &&
                threads <= f->kernel->threads && gy <= MAX_GRID_YZ && gz <= MAX_GRID_YZ;
    if (is_foreign(s)) return BAD_VALUE;
    if (!fits) {
        fprintf(stderr, "kernel %s cannot be launched: %u,%u,%u blocks of %zu, %u bytes shared\n",
                f->kernel->name, gx, gy, gz, threads, shared);
        return BAD_VALUE;
    }
    const unsigned char *from = static_cast<unsigned char *>(params[0]);
    /* As aligned as the structs are. */
    std::vector<uint64_t> args((f->kernel->args + 7) / 8);
    memcpy(args.data(), from, f->kernel->args);
    const FiberKernel *kernel = f->kernel;
    int device = s->device;
    return enqueue(s, [=] {
        if (lost[device]) return;
        computing = s;
        fiber_run(kernel, {gx, gy, gz}, {bx, by, bz}, shared, args.data());
        computing = nullptr;
    });
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void *block_new(size_t bytes, int device)
{
    void *p; /* aligned_alloc wants whole multiples, and a block must end where it ends */
    if (posix_memalign(&p, 256, bytes)) return nullptr;
    memset(p, 0xa5, bytes);
    blocks[(uintptr_t)p] = {bytes, device};
    return p;
}

static bool is_inside(uintptr_t at, size_t bytes, int device)
{
    std::lock_guard<std::mutex> hold(lock);
    auto block = blocks.upper_bound(at);
    if (block == blocks.begin()) return false;
    --block;
    return block->second.device == device && at - block->first + bytes <= block->second.bytes;
}

/* How much of [at, at + bytes) is pinned by the last pin that it touches; all: by that one alone. */
static size_t pinned(uintptr_t at, size_t bytes)
{
    std::lock_guard<std::mutex> hold(lock);
    auto pin = pins.lower_bound(at + bytes);
    if (pin == pins.begin()) return 0;
    --pin;
    uintptr_t from = std::max(at, pin->first), to = std::min(at + bytes, pin->first + pin->second);
    return to > from ? to - from : 0;
}

SIM int cuMemGetInfo_v2(size_t *free, size_t *total)
{
    std::lock_guard<std::mutex> hold(lock);
    *total = memory_of_card();
    *free = memory_free(current);
    return OK;
}
SIM int cuMemAlloc_v2(uintptr_t *ret, size_t bytes)
{
    ENTER;
    std::lock_guard<std::mutex> hold(lock);
    if (bytes > memory_free(current)) return NO_MEMORY;
    void *p = block_new(bytes, current);
    if (!p) return NO_MEMORY;
    taken[current] += bytes;
    if (peak[current] < taken[current]) peak[current] = taken[current];
    *ret = (uintptr_t)p;
    return OK;
}
SIM int cuMemFree_v2(uintptr_t at)
{
    std::lock_guard<std::mutex> hold(lock);
    auto block = blocks.find(at);
    if (block == blocks.end() || block->second.device == HOST) return BAD_VALUE;
    taken[block->second.device] -= block->second.bytes;
    blocks.erase(block);
    free((void *)at);
    return OK;
}
SIM int cuMemHostAlloc(void **ret, size_t bytes, unsigned)
{
    ENTER;
    std::lock_guard<std::mutex> hold(lock);
    *ret = block_new(bytes, HOST);
    return *ret ? OK : NO_MEMORY;
}
SIM int cuMemFreeHost(void *p)
{
    std::lock_guard<std::mutex> hold(lock);
    if (blocks.erase((uintptr_t)p) == 0) return BAD_VALUE;
    free(p);
    return OK;
}
SIM int cuMemsetD8Async(uintptr_t to, unsigned char value, size_t bytes, Stream *s)
{
    ENTER;
    if (is_foreign(s) || !is_inside(to, bytes, current)) return BAD_VALUE;
    return enqueue(s, [=] { memset((void *)to, value, bytes); });
}
/* What a kernel reads before its copy has been made, or during it, is no number. */
static void copy(void *to, const void *from, size_t bytes, const Stream *on)
{
    static std::atomic<unsigned> turn;
    memset(to, 0xff, bytes);
    /* Mostly at once, now and then long enough for what does not wait for it to be seen. */
    std::this_thread::sleep_for(std::chrono::microseconds(turn++ % 8 ? 0 : 2000));
    if (computing && on != computing) {
        std::lock_guard<std::mutex> hold(lock);
        calls["a copy beside a kernel"]++;
    }
    memcpy(to, from, bytes);
}

/* Pages from a page on, none of which is pinned yet. */
SIM int cuMemHostRegister_v2(void *p, size_t bytes, unsigned)
{
    ENTER;
    if ((uintptr_t)p % 4096 || bytes % 4096 || !bytes) return BAD_VALUE;
    if (pinned((uintptr_t)p, bytes)) return ALREADY_PINNED;
    std::lock_guard<std::mutex> hold(lock);
    pins[(uintptr_t)p] = bytes;
    return OK;
}
SIM int cuMemHostUnregister(void *p)
{
    std::lock_guard<std::mutex> hold(lock);
    return pins.erase((uintptr_t)p) ? OK : BAD_VALUE;
}
/* As the driver does it, memory that is not pinned is the caller's again when the call returns. */
SIM int cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t bytes, Stream *s)
{
    ENTER;
    if (is_foreign(s) || !is_inside(to, bytes, current)) return BAD_VALUE;
    if (is_inside((uintptr_t)from, bytes, HOST) || pinned((uintptr_t)from, bytes) == bytes)
        return enqueue(s, [=] { copy((void *)to, from, bytes, s); });
    if (pinned((uintptr_t)from, bytes)) return BAD_VALUE; /* in part */
    const char *first = static_cast<const char *>(from);
    return enqueue(s, [to, copy = std::vector<char>(first, first + bytes)] {
        memcpy((void *)to, copy.data(), copy.size());
    });
}
SIM int cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t bytes, Stream *s)
{
    ENTER;
    if (is_foreign(s) || !is_inside(from, bytes, current)) return BAD_VALUE;
    int status = enqueue(s, [=] { memcpy(to, (void *)from, bytes); });
    if (status != OK || is_inside((uintptr_t)to, bytes, HOST)) return status;
    std::unique_lock<std::mutex> hold(s->lock);
    s->idle.wait(hold, [s] { return s->recording || (s->queue.empty() && !s->busy); });
    return OK;
}

/* ---- NVML ------------------------------------------------------------------------------------ */

SIM int nvmlInit_v2(void) { return OK; }
SIM int nvmlShutdown(void) { return OK; }
SIM int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device)
{
    *device = &context[atoi(id + 5)];
    return OK;
}
SIM int nvmlDeviceGetMemoryInfo(const int *device, unsigned long long memory[3])
{
    std::lock_guard<std::mutex> hold(lock);
    memory[0] = memory_of_card();
    memory[1] = memory_free((int)(device - context));
    memory[2] = memory[0] - memory[1];
    return OK;
}
