/* Fibers for kernels: fiber.h says what they promise. A block's fibers live on one OS thread; the
 * scheduler goes round them in an order that is drawn anew for each round. */
#include "fiber.h"

#include <link.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
enum { STACK = 512 << 10 };
#else
enum { STACK = 128 << 10 };
#endif

struct Pending { /* a cp_async16 that nobody has waited for */
    void *to;
    unsigned char data[16];
    int group;
};

struct Warp {
    FiberMeeting *meetings;
    unsigned lanes; /* that exist */
};

struct Fiber {
    void *sp;
    unsigned char *stack;
    FiberThread thread;
    Warp *warp;
    bool done;
    int group; /* cp_async_commit so far */
    std::vector<Pending> pending;
    void *fake; /* the sanitizer's */
};

enum { SOME = 2 }; /* barriers of sync_some */

struct Scheduler {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::vector<FiberMeeting *> spare;
    Fiber *current;
    void *sp;
    const FiberKernel *kernel;
    const void *args;
    unsigned n, arrived, generation, progress;
    int line; /* of the barrier that is waited at */
    struct {
        unsigned arrived, generation;
        int line, threads;
    } some[SOME];
    uint64_t lot;
    void *fake;
    const void *bottom;
    size_t size;
};

/* Neither may be in .tbss, which is spoilt: fiber.h. */
__thread FiberHere fiber_here = {1, nullptr, {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, nullptr};
static __thread struct {
    uint64_t initialized;
    Scheduler *scheduler;
} mine = {1, nullptr};

static const FiberKernel *kernels;

const FiberKernel *fiber_add(FiberKernel *kernel)
{
    kernel->next = kernels;
    kernels = kernel;
    return kernel;
}

const FiberKernel *fiber_find(const char *name)
{
    for (const FiberKernel *k = kernels; k; k = k->next)
        if (strcmp(k->name, name) == 0) return k;
    return nullptr;
}

void fiber_fail(const char *format, ...)
{
    va_list args;
    const Scheduler *s = mine.scheduler;
    fprintf(stderr, "kernel %s, block %u,%u,%u: ", s ? s->kernel->name : "?", fiber_here.block.x,
            fiber_here.block.y, fiber_here.block.z);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- changing from one to another ------------------------------------------------------------ */

extern "C" void fiber_switch(void **save, void *load) __attribute__((visibility("hidden")));
__asm__(".text\n.hidden fiber_switch\n.globl fiber_switch\n.type fiber_switch,@function\n"
        "fiber_switch:\n push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        " mov %rsp,(%rdi)\n mov %rsi,%rsp\n"
        " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n"
        ".size fiber_switch,.-fiber_switch\n.section .note.GNU-stack,\"\",@progbits\n.text\n");

static void to_scheduler(Scheduler *s, Fiber *f, bool last)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last ? nullptr : &f->fake, s->bottom, s->size);
#else
    (void)last;
#endif
    fiber_switch(&f->sp, s->sp);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(f->fake, &s->bottom, &s->size);
#endif
}

static void to_fiber(Scheduler *s, Fiber *f)
{
    s->current = f;
    fiber_here.thread = &f->thread;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&s->fake, f->stack, STACK);
#endif
    fiber_switch(&s->sp, f->sp);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(s->fake, nullptr, nullptr);
#endif
}

static void yield_fiber() { to_scheduler(mine.scheduler, mine.scheduler->current, false); }

static void enter()
{
    Scheduler *s = mine.scheduler;
    Fiber *f = s->current;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &s->bottom, &s->size);
#endif
    s->kernel->call(s->kernel, s->args);
    f = mine.scheduler->current;
    if (!f->pending.empty()) fiber_fail("a thread leaves with copies nobody waited for");
    f->done = true;
    mine.scheduler->progress++;
    to_scheduler(mine.scheduler, f, true);
    abort();
}

void fiber_pause()
{
    mine.scheduler->progress++;
    sched_yield();
    yield_fiber();
}

/* ---- meetings -------------------------------------------------------------------------------- */

static FiberMeeting *find_meeting(Scheduler *s, Warp *w, unsigned mask, FiberOp op, int line,
                                  unsigned bit)
{
    for (FiberMeeting *m = w->meetings; m; m = m->next)
        if (m->mask == mask && m->op == op && m->line == line && !(m->came & bit)) return m;
    FiberMeeting *m;
    if (s->spare.empty()) {
        m = static_cast<FiberMeeting *>(aligned_alloc(alignof(FiberMeeting), sizeof *m));
    } else {
        m = s->spare.back();
        s->spare.pop_back();
    }
    m->mask = mask, m->came = m->gone = 0, m->op = op, m->line = line;
    m->next = w->meetings;
    w->meetings = m;
    return m;
}

FiberMeeting *fiber_meet(unsigned mask, FiberOp op, int line, const void *data, size_t bytes)
{
    Scheduler *s = mine.scheduler;
    Fiber *f = s->current;
    unsigned bit = 1u << f->thread.lane;
    if (!(mask & bit)) fiber_fail("line %d: lane %u is not in its mask", line, f->thread.lane);
    mask &= f->warp->lanes;
    FiberMeeting *m = find_meeting(s, f->warp, mask, op, line, bit);
    if (bytes) memcpy(m->data[f->thread.lane], data, bytes);
    m->came |= bit;
    while (m->came != m->mask)
        yield_fiber();
    s->progress++;
    return m;
}

void fiber_leave(FiberMeeting *meeting)
{
    Scheduler *s = mine.scheduler;
    Fiber *f = s->current;
    meeting->gone |= 1u << f->thread.lane;
    if (meeting->gone != meeting->mask) return;
    FiberMeeting **at = &f->warp->meetings;
    while (*at != meeting)
        at = &(*at)->next;
    *at = meeting->next;
    s->spare.push_back(meeting);
}

void fiber_sync_block(int line)
{
    Scheduler *s = mine.scheduler;
    unsigned generation = s->generation;
    if (s->arrived && s->line != line)
        fiber_fail("threads wait at the barriers of line %d and of line %d", s->line, line);
    s->line = line;
    s->progress++;
    if (++s->arrived == s->n) {
        s->arrived = 0;
        s->generation++;
        return;
    }
    while (s->generation == generation)
        yield_fiber();
    s->progress++;
}

void fiber_sync_some(int which, int threads, int line)
{
    Scheduler *s = mine.scheduler;
    if (which < 0 || which >= SOME) fiber_fail("line %d: there is no barrier %d", line, which);
    auto &some = s->some[which];
    unsigned generation = some.generation;
    if (some.arrived && (some.line != line || some.threads != threads))
        fiber_fail("threads wait at barrier %d of line %d and of line %d", which, some.line, line);
    some.line = line, some.threads = threads;
    s->progress++;
    if (++some.arrived == (unsigned)threads) {
        some.arrived = 0;
        some.generation++;
        return;
    }
    while (some.generation == generation)
        yield_fiber();
    s->progress++;
}

static float half_at(const unsigned char *data, int i)
{
    uint16_t bits;
    memcpy(&bits, data + 2 * i, sizeof bits);
    return half_bits_to_float(bits);
}

/* data: a[4], then b[2]. */
void mma_m16n8k16(float c[4], const uint32_t a[4], const uint32_t b[2], int line)
{
    uint32_t data[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    FiberMeeting *m = fiber_meet(~0u, FIBER_MMA, line, data, sizeof data);
    int g = (int)fiber_here.thread->lane / 4, q = (int)fiber_here.thread->lane % 4;
    for (int i = 0; i < 4; i++) {
        int below = i / 2, n = 2 * q + i % 2;
        for (int k = 0; k < 16; k++) {
            float x = half_at(m->data[4 * g + k % 8 / 2], 2 * (2 * (k / 8) + below) + k % 2);
            c[i] += x * half_at(m->data[4 * n + k % 8 / 2], 8 + 2 * (k / 8) + k % 2);
        }
    }
    fiber_leave(m);
}

static void ldmatrix(uint32_t r[4], const void *row, bool transposed, int line)
{
    FiberMeeting *m = fiber_meet(~0u, FIBER_LDMATRIX, line, &row, sizeof row);
    int g = (int)fiber_here.thread->lane / 4, q = (int)fiber_here.thread->lane % 4;
    if ((uintptr_t)row % 16) fiber_fail("line %d: a row of ldmatrix is not aligned to 16", line);
    for (int j = 0; j < 4; j++) {
        uint16_t pair[2];
        for (int i = 0; i < 2; i++) {
            const uint16_t *from;
            memcpy(&from, m->data[8 * j + (transposed ? 2 * q + i : g)], sizeof from);
            pair[i] = from[transposed ? g : 2 * q + i];
        }
        r[j] = pair[0] | (uint32_t)pair[1] << 16;
    }
    fiber_leave(m);
}

void ldmatrix_x4(uint32_t r[4], const void *row, int line) { ldmatrix(r, row, false, line); }
void ldmatrix_x4_trans(uint32_t r[4], const void *row, int line) { ldmatrix(r, row, true, line); }

void cp_async16(void *shared, const void *global, int bytes)
{
    Fiber *f = mine.scheduler->current;
    Pending p = {shared, {0}, f->group};
    if ((uintptr_t)shared % 16 || (bytes && (uintptr_t)global % 16))
        fiber_fail("cp_async16 is not aligned to 16");
    memcpy(p.data, global, (size_t)bytes);
    memset(shared, 0xff, 16);
    f->pending.push_back(p);
}

void cp_async_commit() { mine.scheduler->current->group++; }

void fiber_cp_async_wait(int groups)
{
    Fiber *f = mine.scheduler->current;
    size_t kept = 0;
    for (Pending &p : f->pending) {
        if (p.group < f->group - groups)
            memcpy(p.to, p.data, sizeof p.data);
        else
            f->pending[kept++] = p;
    }
    f->pending.resize(kept);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

struct Range {
    unsigned char *at;
    size_t bytes;
};

/* This library's zero-initialized variables of this OS thread: __shared__ ones. */
static int find_shared(struct dl_phdr_info *info, size_t, void *arg)
{
    const unsigned char *here = reinterpret_cast<unsigned char *>(&fiber_here);
    unsigned char *tls = static_cast<unsigned char *>(info->dlpi_tls_data);
    for (int i = 0; tls && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) &p = info->dlpi_phdr[i];
        if (p.p_type != PT_TLS || here < tls || here >= tls + p.p_memsz) continue;
        *static_cast<Range *>(arg) = {tls + p.p_filesz, p.p_memsz - p.p_filesz};
        return 1;
    }
    return 0;
}

static uint64_t draw(Scheduler *s)
{
    s->lot ^= s->lot << 13, s->lot ^= s->lot >> 7, s->lot ^= s->lot << 17;
    return s->lot;
}

static void begin_fiber(Fiber *f, unsigned i, dim3 threads, Warp *warp)
{
    if (!f->stack) f->stack = static_cast<unsigned char *>(aligned_alloc(4096, STACK));
    f->thread = {{i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y)}, i % 32};
    f->warp = warp;
    f->done = false;
    f->group = 0;
    f->fake = nullptr;
    void **sp = reinterpret_cast<void **>(f->stack + STACK);
    *--sp = nullptr;
    *--sp = reinterpret_cast<void *>(enter);
    f->sp = sp - 6;
}

/* A step that shares no factor with n walks all of them. */
static unsigned draw_step(Scheduler *s)
{
    for (;;) {
        unsigned step = 1 + (unsigned)(draw(s) % s->n), a = s->n, b = step;
        while (b) {
            unsigned rest = a % b;
            a = b, b = rest;
        }
        if (a == 1) return step;
    }
}

static void run_block(Scheduler *s, dim3 threads)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (i % 32 == 0) {
            unsigned left = s->n - i;
            s->warps[i / 32] = {nullptr, left < 32 ? (1u << left) - 1 : ~0u};
        }
        begin_fiber(&s->fibers[i], i, threads, &s->warps[i / 32]);
    }
    s->arrived = s->generation = 0;
    memset(s->some, 0, sizeof s->some);
    for (unsigned left = s->n; left;) {
        unsigned before = s->progress, step = draw_step(s), at = (unsigned)(draw(s) % s->n);
        for (unsigned i = 0; i < s->n; i++, at = (at + step) % s->n) {
            Fiber *f = &s->fibers[at];
            if (f->done) continue;
            to_fiber(s, f);
            left -= f->done;
        }
        if (left && s->progress == before)
            fiber_fail("nobody can go on: %u threads wait, barrier at line %d has %u", left,
                       s->line, s->arrived);
    }
}

static Scheduler *scheduler_get()
{
    if (!mine.scheduler) {
        mine.scheduler = new Scheduler();
        const char *seed = getenv("HEARTH_FIBER_SEED");
        mine.scheduler->lot = seed ? strtoull(seed, nullptr, 0) * 2 + 1 : 88172645463325252u;
    }
    return mine.scheduler;
}

void fiber_run(const FiberKernel *kernel, dim3 grid, dim3 threads, size_t shared, const void *args)
{
    Scheduler *s = scheduler_get();
    Range spoilt = {nullptr, 0};
    dl_iterate_phdr(find_shared, &spoilt);
    s->kernel = kernel;
    s->args = args;
    s->n = threads.x * threads.y * threads.z;
    if (s->fibers.size() < s->n) s->fibers.resize(s->n);
    if (s->warps.size() < (s->n + 31) / 32) s->warps.resize((s->n + 31) / 32);
    fiber_here.threads = threads;
    fiber_here.grid = grid;
    if (posix_memalign(&fiber_here.shared, 16, shared ? shared : 1)) abort();
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                fiber_here.block = {x, y, z};
                memset(spoilt.at, 0xff, spoilt.bytes);
                memset(fiber_here.shared, 0xff, shared);
                run_block(s, threads);
            }
    free(fiber_here.shared);
}

void fiber_thread_end(void)
{
    if (!mine.scheduler) return;
    for (Fiber &f : mine.scheduler->fibers)
        free(f.stack);
    for (FiberMeeting *m : mine.scheduler->spare)
        free(m);
    delete mine.scheduler;
    mine.scheduler = nullptr;
}
