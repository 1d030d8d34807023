/* NVIDIA's driver API behind one struct of pointers, filled at run time, so that one program runs
 * with and without a driver and none of NVIDIA's headers is needed to build it. Signatures and
 * numbers are those of the CUDA Driver API and NVML references. */
#ifndef ENG_CUDA_DRIVER_H
#define ENG_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

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

typedef int EngCuResult; /* CUresult */
typedef int EngCuDevice; /* CUdevice */

enum { /* CUresult */
       ENG_CU_SUCCESS = 0,
       ENG_CU_NO_DEVICE = 100,
       ENG_CU_DRIVER_MISMATCH = 803, /* CUDA_ERROR_SYSTEM_DRIVER_MISMATCH */
};

enum { /* CUdevice_attribute */
       ENG_CU_CAPABILITY_MAJOR = 75,
       ENG_CU_CAPABILITY_MINOR = 76,
};

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

    int (*nvml_init)(void);
    int (*nvml_shutdown)(void);
    int (*nvml_device)(const char *bus_id, void **device);
    int (*nvml_memory)(void *device, EngNvmlMemory *memory);
} EngDriver;

/* Opens the libraries and starts the driver. On failure nothing is left open and ret_reason is a
 * phrase that says what is missing and what would help. */
bool eng_driver_open(EngDriver *ret_driver, const char *cuda_library, const char *nvml_library,
                     char ret_reason[160]);
void eng_driver_close(EngDriver *driver);

/* eng_cuda_probe with an open driver. */
bool eng_driver_probe(const EngDriver *driver, char ret_name[96], uint64_t *ret_total,
                      uint64_t *ret_available, char ret_reason[160]);

#endif
