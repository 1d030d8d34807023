/* One GPU, opened: its context, its kernels by number, its memory counted against a budget.
 *
 * Kernels are launched one behind the other on one stream; copies may go beside them on a second
 * one, and events tell each of the two what it must wait for in the other. Nothing here waits but
 * eng_cuda_sync and what says so. A launch that fails is remembered: the next eng_cuda_sync tells.
 * After that the device is lost (another program's fault, a driver reset, sleep) and every call
 * fails with the same reason until it is closed and opened again.
 *
 * The driver is a library opened at run time. A test gives the name of another one that runs the
 * same kernels on the CPU (tests/gpu/sim): everything above the driver is then what runs on
 * hardware. One thread at a time. */
#ifndef ENG_CUDA_DEVICE_H
#define ENG_CUDA_DEVICE_H

#include "base/err.h"
#include "cuda/driver.h"
#include "cuda/kernels/args.h"
#include "cuda/kernels/names.h"
#include "load/quant.h"

/* Numbers of kernels. Those of a family: its first + EngType, or + EngKvType. */
typedef enum {
#define X(family) ENG_CU_##family, ENG_CU_##family##_end = ENG_CU_##family + ENG_TYPE_COUNT - 1,
    ENG_CU_FORMAT_FAMILIES(X)
#undef X
#define X(family) ENG_CU_##family, ENG_CU_##family##_end = ENG_CU_##family + 2,
        ENG_CU_KV_FAMILIES(X)
#undef X
#define X(name) ENG_CU_##name,
            ENG_CU_SINGLE(X)
#undef X
                ENG_CU_KERNELS
} EngCuKernel;

typedef struct {
    const char *cuda_library, *nvml_library; /* NULL = eng_cuda_library's, the driver's */
    int ordinal;                             /* of the devices that can be used */
    uint64_t budget;                         /* most bytes to take; 0 = what the card has */
} EngCudaSettings;

typedef struct EngCuda EngCuda;

/* NULL with a phrase that says why (no driver, no device, too old, kernels of another build). */
EngCuda *eng_cuda_open(const EngCudaSettings *settings, char ret_reason[160]);
void eng_cuda_close(EngCuda *cuda);

typedef struct {
    char name[96];
    int capability;      /* 89 = 8.9 */
    int processors;      /* streaming multiprocessors */
    bool pins_read_only; /* memory that may only be read can be pinned */
    int shared;          /* most bytes of shared memory that a block can have (opt-in) */
    uint64_t total, budget;
    uint64_t taken, peak; /* bytes of eng_cuda_alloc now and at most, the context's own included */
    uint64_t own;         /* what the context and the kernels' code took, as far as is known */
} EngCudaInfo;
EngCudaInfo eng_cuda_info(const EngCuda *cuda);

/* From now on at most so much, of which what is taken is a part. */
void eng_cuda_limit(EngCuda *cuda, uint64_t budget);

/* Bytes that can be had now: of the budget, and of what the card has. */
uint64_t eng_cuda_available(const EngCuda *cuda);

/* Before calls from another thread than the last ones. */
void eng_cuda_enter(EngCuda *cuda);

/* Device memory; 256-byte aligned, zeroed, of whole 16 bytes. NULL with ENG_ERR_MEMORY naming bytes
 * and device when the budget or the card has no more. Never dereferenced by the host. free: NULL
 * is nothing. */
void *eng_cuda_alloc(EngCuda *cuda, size_t bytes, const char *what, EngError *err);
void eng_cuda_free(EngCuda *cuda, void *memory);

/* Pinned memory of the host, zeroed, at the same address for kernels. After a failure nothing says
 * which kernels still run: memory of both kinds, and graphs, then stay until the device is closed,
 * which frees all that is left behind its last kernel. */
void *eng_cuda_alloc_host(EngCuda *cuda, size_t bytes, const char *what, EngError *err);
void eng_cuda_free_host(EngCuda *cuda, void *memory);

/* Pins memory of others, of whole pages, until the device is closed: copies from it are then those
 * of pinned memory. It is not written to. false with a phrase: the driver refuses, and nothing else
 * changes. */
bool eng_cuda_pin(EngCuda *cuda, const void *memory, size_t bytes, char ret_reason[160]);

/* Copies behind what was launched before; `from`/`to` of the host may be used again at once. */
bool eng_cuda_write(EngCuda *cuda, void *to, const void *from, size_t bytes, EngError *err);
bool eng_cuda_read(EngCuda *cuda, void *to, const void *from, size_t bytes, EngError *err);

typedef struct {
    unsigned x, y, z; /* blocks */
    unsigned threads; /* per block, in x */
    size_t shared;    /* bytes of dynamic shared memory per block */
} EngCuGrid;

/* `args`: the kernel's one struct, copied before it returns. */
void eng_cuda_launch(EngCuda *cuda, int kernel, EngCuGrid grid, const void *args);
#define ENG_CUDA_LAUNCH(cuda, kernel, args, ...)                                                   \
    eng_cuda_launch(cuda, kernel, (EngCuGrid){__VA_ARGS__}, args)

/* What is enqueued on one of the two runs in order, and in none with what is on the other. */
typedef enum { ENG_CU_COMPUTE, ENG_CU_COPIES, ENG_CU_STREAMS } EngCuStreamOf;

/* Copies from pinned memory, which must stay as it is until the copy has been made. */
void eng_cuda_enqueue_write(EngCuda *cuda, EngCuStreamOf stream, void *to, const void *pinned,
                            size_t bytes);

/* An event happens when all that was on a stream at its last mark is done; one that was never
 * marked has happened. It lives until the device is closed. Not between capture_begin and
 * capture_end. await: what is enqueued on `stream` from now on waits for the event, as it is marked
 * now. has_happened does not wait, and is true once the device has failed; wait is for the host.
 * seconds: from one that has happened to another, 0 where one of them was never marked. */
EngCuEvent *eng_cuda_event_new(EngCuda *cuda, EngError *err);
void eng_cuda_event_mark(EngCuda *cuda, EngCuEvent *event, EngCuStreamOf stream);
void eng_cuda_event_await(EngCuda *cuda, EngCuEvent *event, EngCuStreamOf stream);
bool eng_cuda_event_has_happened(EngCuda *cuda, EngCuEvent *event);
void eng_cuda_event_wait(EngCuda *cuda, EngCuEvent *event);
double eng_cuda_event_seconds(EngCuda *cuda, EngCuEvent *from, EngCuEvent *to);

/* What is launched between begin and end is kept as a graph instead, which one call launches. false
 * or NULL: it could not be kept, and nothing of it runs. */
bool eng_cuda_capture_begin(EngCuda *cuda);
EngCuGraphExec *eng_cuda_capture_end(EngCuda *cuda);
void eng_cuda_graph_launch(EngCuda *cuda, EngCuGraphExec *graph);
void eng_cuda_graph_free(EngCuda *cuda, EngCuGraphExec *graph);

/* Whether a failure is known by now; does not wait. */
bool eng_cuda_failed(EngCuda *cuda);

/* Waits for the kernels, and so for the copies that they await; not for others. */
bool eng_cuda_sync(EngCuda *cuda, EngError *err);

#endif
