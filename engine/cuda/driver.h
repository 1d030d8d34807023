/* NVIDIA's driver API behind one struct of pointers, filled at run time, so that one program runs
 * with and without a driver and none of NVIDIA's headers is needed to build it. Signatures and
 * numbers are those of the CUDA Driver API and NVML references. */
#ifndef ENG_CUDA_DRIVER_H
#define ENG_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dl.h"

#ifdef _WIN32
#define ENG_CUDA_LIBRARY "nvcuda.dll"
#define ENG_NVML_LIBRARY "nvml.dll"
#define ENG_CUDAAPI __stdcall
#else
#define ENG_CUDA_LIBRARY "libcuda.so.1"
#define ENG_NVML_LIBRARY "libnvidia-ml.so.1"
#define ENG_CUDAAPI
#endif

typedef int EngCuResult;                      /* CUresult */
typedef int EngCuDevice;                      /* CUdevice */
typedef uint64_t EngCuAddress;                /* CUdeviceptr */
typedef struct EngCuContext EngCuContext;     /* CUctx_st */
typedef struct EngCuModule EngCuModule;       /* CUmod_st */
typedef struct EngCuFunction EngCuFunction;   /* CUfunc_st */
typedef struct EngCuStream EngCuStream;       /* CUstream_st */
typedef struct EngCuEvent EngCuEvent;         /* CUevent_st */
typedef struct EngCuGraph EngCuGraph;         /* CUgraph_st */
typedef struct EngCuGraphExec EngCuGraphExec; /* CUgraphExec_st */

enum { /* CUresult */
       ENG_CU_SUCCESS = 0,
       ENG_CU_OUT_OF_MEMORY = 2,
       ENG_CU_NO_DEVICE = 100,
       ENG_CU_NOT_READY = 600,
       ENG_CU_DRIVER_MISMATCH = 803, /* CUDA_ERROR_SYSTEM_DRIVER_MISMATCH */
};

enum { /* CUdevice_attribute */
       ENG_CU_CAPABILITY_MAJOR = 75,
       ENG_CU_CAPABILITY_MINOR = 76,
       ENG_CU_PROCESSORS = 16,
       ENG_CU_PINS_READ_ONLY = 113, /* whether memory that may only be read can be pinned */
       ENG_CU_SHARED_OPTIN = 97,    /* most shared memory of a block that asks for it */
};

enum { /* flags and attributes of the calls below */
       ENG_CU_STREAM_NON_BLOCKING = 1,
       ENG_CU_HOST_PORTABLE_MAPPED = 1 | 2,
       ENG_CU_PIN_PORTABLE = 1, /* CU_MEMHOSTREGISTER_… */
       ENG_CU_PIN_READ_ONLY = 8,
       ENG_CU_FUNC_SHARED = 8,    /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
       ENG_CU_FUNC_PTX = 5,       /* CU_FUNC_ATTRIBUTE_PTX_VERSION: 90 = for 9.0 */
       ENG_CU_LAUNCH_EARLY = 6,   /* CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION */
       ENG_CU_CAPTURE_THREAD = 1, /* CU_STREAM_CAPTURE_MODE_THREAD_LOCAL */
};

typedef struct {
    int id;
    char unused[4];
    union {
        int value;
        char room[64];
    };
} EngCuLaunchAttribute; /* CUlaunchAttribute */

typedef struct {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared;
    EngCuStream *stream;
    EngCuLaunchAttribute *attributes;
    unsigned n_attributes;
} EngCuLaunch; /* CUlaunchConfig */

typedef struct {
    unsigned long long total, free, used; /* bytes */
} EngNvmlMemory;                          /* nvmlMemory_t */

typedef struct {
    EngDl *cuda,
        *nvml; /* nvml is NULL when it is not there: its pointers are then not to be used */

    EngCuResult(ENG_CUDAAPI *init)(unsigned flags);
    EngCuResult(ENG_CUDAAPI *driver_version)(int *version);
    EngCuResult(ENG_CUDAAPI *device_count)(int *count);
    EngCuResult(ENG_CUDAAPI *device_get)(EngCuDevice *device, int ordinal);
    EngCuResult(ENG_CUDAAPI *device_name)(char *name, int size, EngCuDevice device);
    EngCuResult(ENG_CUDAAPI *device_memory)(size_t *bytes, EngCuDevice device);
    EngCuResult(ENG_CUDAAPI *device_attribute)(int *value, int attribute, EngCuDevice device);
    EngCuResult(ENG_CUDAAPI *device_bus_id)(char *id, int size, EngCuDevice device);

    /* What computing needs beyond finding a device: eng_driver_complete. */
    EngCuResult(ENG_CUDAAPI *error_string)(EngCuResult rc, const char **text);
    EngCuResult(ENG_CUDAAPI *context_retain)(EngCuContext **context, EngCuDevice device);
    EngCuResult(ENG_CUDAAPI *context_release)(EngCuDevice device);
    EngCuResult(ENG_CUDAAPI *context_set)(EngCuContext *context);
    EngCuResult(ENG_CUDAAPI *module_load)(EngCuModule **module, const void *image);
    EngCuResult(ENG_CUDAAPI *module_unload)(EngCuModule *module);
    EngCuResult(ENG_CUDAAPI *module_function)(EngCuFunction **f, EngCuModule *m, const char *name);
    EngCuResult(ENG_CUDAAPI *function_set)(EngCuFunction *f, int attribute, int value);
    EngCuResult(ENG_CUDAAPI *memory_info)(size_t *free, size_t *total);
    EngCuResult(ENG_CUDAAPI *memory_new)(EngCuAddress *address, size_t bytes);
    EngCuResult(ENG_CUDAAPI *memory_free)(EngCuAddress address);
    EngCuResult(ENG_CUDAAPI *memory_fill)(EngCuAddress to, unsigned char value, size_t bytes,
                                          EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *memory_up)(EngCuAddress to, const void *from, size_t bytes,
                                        EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *memory_down)(void *to, EngCuAddress from, size_t bytes,
                                          EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *host_new)(void **memory, size_t bytes, unsigned flags);
    EngCuResult(ENG_CUDAAPI *host_free)(void *memory);
    EngCuResult(ENG_CUDAAPI *host_pin)(void *memory, size_t bytes, unsigned flags);
    EngCuResult(ENG_CUDAAPI *host_unpin)(void *memory);
    EngCuResult(ENG_CUDAAPI *stream_new)(EngCuStream **stream, unsigned flags);
    EngCuResult(ENG_CUDAAPI *stream_free)(EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *stream_wait)(EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *stream_query)(EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *stream_await)(EngCuStream *stream, EngCuEvent *event, unsigned flags);
    EngCuResult(ENG_CUDAAPI *event_new)(EngCuEvent **event, unsigned flags);
    EngCuResult(ENG_CUDAAPI *event_free)(EngCuEvent *event);
    EngCuResult(ENG_CUDAAPI *event_mark)(EngCuEvent *event, EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *event_query)(EngCuEvent *event);
    EngCuResult(ENG_CUDAAPI *event_wait)(EngCuEvent *event);
    EngCuResult(ENG_CUDAAPI *event_time)(float *ms, EngCuEvent *from, EngCuEvent *to);
    EngCuResult(ENG_CUDAAPI *capture_begin)(EngCuStream *stream, int mode);
    EngCuResult(ENG_CUDAAPI *capture_end)(EngCuStream *stream, EngCuGraph **graph);
    EngCuResult(ENG_CUDAAPI *graph_new)(EngCuGraphExec **exec, EngCuGraph *graph,
                                        unsigned long long flags);
    EngCuResult(ENG_CUDAAPI *graph_launch)(EngCuGraphExec *exec, EngCuStream *stream);
    EngCuResult(ENG_CUDAAPI *graph_exec_free)(EngCuGraphExec *exec);
    EngCuResult(ENG_CUDAAPI *graph_free)(EngCuGraph *graph);
    EngCuResult(ENG_CUDAAPI *launch)(EngCuFunction *f, unsigned grid_x, unsigned grid_y,
                                     unsigned grid_z, unsigned block_x, unsigned block_y,
                                     unsigned block_z, unsigned shared, EngCuStream *stream,
                                     void **params, void **extra);

    /* What newer drivers have: NULL otherwise. */
    EngCuResult(ENG_CUDAAPI *launch_ex)(const EngCuLaunch *launch, EngCuFunction *f, void **params,
                                        void **extra);
    EngCuResult(ENG_CUDAAPI *function_get)(int *value, int attribute, EngCuFunction *f);

    int (*nvml_init)(void);
    int (*nvml_shutdown)(void);
    int (*nvml_device)(const char *bus_id, void **device);
    int (*nvml_memory)(void *device, EngNvmlMemory *memory);
} EngDriver;

/* The driver's library: the system's or, to run on another (the simulated one of the tests), what
 * HEARTH_CUDA_LIBRARY names, a file or "none". */
const char *eng_cuda_library(void);
/* NVML's: that other library again, which may have it or not. */
const char *eng_cuda_nvml_library(void);

/* Whether there are kernels to run: those of this build, or the library's own, as a test's has. */
bool eng_driver_has_kernels(const EngDriver *driver);
#define ENG_CUDA_NO_KERNELS                                                                        \
    "this build of the program has no GPU kernels: build it where nvcc is installed"

/* Opens the libraries and starts the driver. On failure nothing is left open and ret_reason is a
 * phrase that says what is missing and what would help. */
bool eng_driver_open(EngDriver *ret_driver, const char *cuda_library, const char *nvml_library,
                     char ret_reason[160]);
void eng_driver_close(EngDriver *driver);

/* Fills the pointers that computing needs. On failure ret_reason is a phrase. */
bool eng_driver_complete(EngDriver *driver, char ret_reason[160]);

/* eng_cuda_probe with an open driver, of the `nth` device that can be used. *ret_device: the
 * driver's handle. */
bool eng_driver_probe(const EngDriver *driver, int nth, EngCuDevice *ret_device, char ret_name[96],
                      uint64_t *ret_total, uint64_t *ret_available, char ret_reason[160]);

#endif
