#include "cuda/driver.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/sys.h"
#include "cuda/image.h"

#define REASON 160
#define NAME 96
#define LEAST_CAPABILITY 75 /* 7.5, Turing: tensor cores with int8 */
#define LEAST_VERSION 12000 /* 12.0: what programs of any CUDA 12 compiler run on */

typedef struct {
    const char *name;
    size_t slot; /* offset in EngDriver */
} Symbol;

#define SYMBOL(name, member)                                                                       \
    {                                                                                              \
        name, offsetof(EngDriver, member)                                                          \
    }

static const Symbol cuda_symbols[] = {
    SYMBOL("cuInit", init),
    SYMBOL("cuDriverGetVersion", driver_version),
    SYMBOL("cuDeviceGetCount", device_count),
    SYMBOL("cuDeviceGet", device_get),
    SYMBOL("cuDeviceGetName", device_name),
    SYMBOL("cuDeviceTotalMem_v2", device_memory),
    SYMBOL("cuDeviceGetAttribute", device_attribute),
    SYMBOL("cuDeviceGetPCIBusId", device_bus_id),
};

/* Newest: 11.4, cuGraphInstantiateWithFlags. */
static const Symbol compute_symbols[] = {
    SYMBOL("cuGetErrorString", error_string),
    SYMBOL("cuDevicePrimaryCtxRetain", context_retain),
    SYMBOL("cuDevicePrimaryCtxRelease_v2", context_release),
    SYMBOL("cuCtxSetCurrent", context_set),
    SYMBOL("cuModuleLoadData", module_load),
    SYMBOL("cuModuleUnload", module_unload),
    SYMBOL("cuModuleGetFunction", module_function),
    SYMBOL("cuFuncSetAttribute", function_set),
    SYMBOL("cuMemGetInfo_v2", memory_info),
    SYMBOL("cuMemAlloc_v2", memory_new),
    SYMBOL("cuMemFree_v2", memory_free),
    SYMBOL("cuMemsetD8Async", memory_fill),
    SYMBOL("cuMemcpyHtoDAsync_v2", memory_up),
    SYMBOL("cuMemcpyDtoHAsync_v2", memory_down),
    SYMBOL("cuMemHostAlloc", host_new),
    SYMBOL("cuMemFreeHost", host_free),
    SYMBOL("cuMemHostRegister_v2", host_pin),
    SYMBOL("cuMemHostUnregister", host_unpin),
    SYMBOL("cuStreamCreate", stream_new),
    SYMBOL("cuStreamDestroy_v2", stream_free),
    SYMBOL("cuStreamSynchronize", stream_wait),
    SYMBOL("cuStreamQuery", stream_query),
    SYMBOL("cuStreamWaitEvent", stream_await),
    SYMBOL("cuEventCreate", event_new),
    SYMBOL("cuEventDestroy_v2", event_free),
    SYMBOL("cuEventRecord", event_mark),
    SYMBOL("cuEventQuery", event_query),
    SYMBOL("cuEventSynchronize", event_wait),
    SYMBOL("cuEventElapsedTime", event_time),
    SYMBOL("cuStreamBeginCapture_v2", capture_begin),
    SYMBOL("cuStreamEndCapture", capture_end),
    SYMBOL("cuGraphInstantiateWithFlags", graph_new),
    SYMBOL("cuGraphLaunch", graph_launch),
    SYMBOL("cuGraphExecDestroy", graph_exec_free),
    SYMBOL("cuGraphDestroy", graph_free),
    SYMBOL("cuLaunchKernel", launch),
};

static const Symbol newer_symbols[] = {
    SYMBOL("cuLaunchKernelEx", launch_ex),
    SYMBOL("cuFuncGetAttribute", function_get),
};

static const Symbol nvml_symbols[] = {
    SYMBOL("nvmlInit_v2", nvml_init),
    SYMBOL("nvmlShutdown", nvml_shutdown),
    SYMBOL("nvmlDeviceGetHandleByPciBusId_v2", nvml_device),
    SYMBOL("nvmlDeviceGetMemoryInfo", nvml_memory),
};

/* The name of the first function that the library lacks, or NULL. */
static const char *fill(EngDriver *driver, EngDl *dl, const Symbol *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        EngDlFn *f = eng_dl_function(dl, symbols[i].name);
        if (!f) return symbols[i].name;
        memcpy((char *)driver + symbols[i].slot, &f, sizeof f);
    }
    return NULL;
}

static void open_nvml(EngDriver *d, const char *library)
{
    EngDl *nvml = eng_dl_open(library, NULL);
    if (!nvml) return;
    if (!fill(d, nvml, nvml_symbols, ENG_LEN(nvml_symbols)) && d->nvml_init() == 0)
        d->nvml = nvml;
    else
        eng_dl_close(nvml);
}

static void explain_error(EngCuResult rc, char *ret_reason)
{
    switch (rc) {
    case ENG_CU_NO_DEVICE: snprintf(ret_reason, REASON, "the NVIDIA driver sees no GPU"); return;
    case ENG_CU_DRIVER_MISMATCH:
        snprintf(ret_reason, REASON,
                 "the NVIDIA driver was updated while in use: restart the computer");
        return;
    default:
        snprintf(ret_reason, REASON,
                 "the NVIDIA driver does not work (error %d): restart the computer or install the "
                 "driver again",
                 rc);
    }
}

static void explain_missing(const char *name, char *ret_reason)
{
    snprintf(ret_reason, REASON,
             "the NVIDIA driver is too old (it has no %s): install a newer "
             "one",
             name);
}

bool eng_driver_complete(EngDriver *driver, char ret_reason[160])
{
    const char *missing = fill(driver, driver->cuda, compute_symbols, ENG_LEN(compute_symbols));
    if (missing) explain_missing(missing, ret_reason);
    if (fill(driver, driver->cuda, newer_symbols, ENG_LEN(newer_symbols))) driver->launch_ex = NULL;
    return !missing;
}

const char *eng_cuda_library(void)
{
    const char *named = eng_sys_setting("HEARTH_CUDA_LIBRARY");
    return named && *named ? named : ENG_CUDA_LIBRARY;
}

const char *eng_cuda_nvml_library(void)
{
    const char *named = eng_sys_setting("HEARTH_CUDA_LIBRARY");
    return named && *named ? named : ENG_NVML_LIBRARY;
}

bool eng_driver_has_kernels(const EngDriver *driver)
{
    return eng_cuda_images[0].name || eng_dl_function(driver->cuda, "hearth_sim_image");
}

bool eng_driver_open(EngDriver *ret_driver, const char *cuda_library, const char *nvml_library,
                     char ret_reason[160])
{
    EngDriver d = {.cuda = eng_dl_open(cuda_library, NULL)};
    if (!d.cuda) {
        snprintf(ret_reason, REASON, "no NVIDIA driver: %s was not found", cuda_library);
        return false;
    }
    const char *missing = fill(&d, d.cuda, cuda_symbols, ENG_LEN(cuda_symbols));
    if (missing) {
        explain_missing(missing, ret_reason);
        eng_dl_close(d.cuda);
        return false;
    }
    EngCuResult rc = d.init(0);
    if (rc != ENG_CU_SUCCESS) {
        explain_error(rc, ret_reason);
        eng_dl_close(d.cuda);
        return false;
    }
    open_nvml(&d, nvml_library);
    *ret_driver = d;
    return true;
}

void eng_driver_close(EngDriver *d)
{
    if (d->nvml) d->nvml_shutdown();
    eng_dl_close(d->nvml);
    eng_dl_close(d->cuda);
    *d = (EngDriver){0};
}

/* NVML numbers the devices in another order than CUDA: the PCI address is common to both. */
static uint64_t available_bytes(const EngDriver *d, EngCuDevice device)
{
    char bus_id[64] = "";
    void *handle = NULL;
    EngNvmlMemory memory = {0};
    if (!d->nvml || d->device_bus_id(bus_id, sizeof bus_id - 1, device) != ENG_CU_SUCCESS ||
        d->nvml_device(bus_id, &handle) != 0 || d->nvml_memory(handle, &memory) != 0)
        return 0;
    return memory.free;
}

static bool describe(const EngDriver *d, int ordinal, EngCuDevice *ret_device, char name[NAME],
                     uint64_t *ret_total, uint64_t *ret_available, char *ret_reason)
{
    EngCuDevice device;
    size_t total = 0;
    int major = 0, minor = 0;
    if (d->device_get(&device, ordinal) != ENG_CU_SUCCESS ||
        d->device_name(name, NAME - 1, device) != ENG_CU_SUCCESS ||
        d->device_memory(&total, device) != ENG_CU_SUCCESS ||
        d->device_attribute(&major, ENG_CU_CAPABILITY_MAJOR, device) != ENG_CU_SUCCESS ||
        d->device_attribute(&minor, ENG_CU_CAPABILITY_MINOR, device) != ENG_CU_SUCCESS) {
        snprintf(ret_reason, REASON,
                 "the NVIDIA driver does not describe its GPU: restart the computer");
        return false;
    }
    if (10 * major + minor < LEAST_CAPABILITY) {
        snprintf(ret_reason, REASON,
                 "%.80s is too old: its compute capability is %d.%d, and 7.5 is needed", name,
                 major, minor);
        return false;
    }
    *ret_device = device;
    *ret_total = total;
    *ret_available = available_bytes(d, device);
    return true;
}

bool eng_driver_probe(const EngDriver *d, int nth, EngCuDevice *ret_device, char ret_name[96],
                      uint64_t *ret_total, uint64_t *ret_available, char ret_reason[160])
{
    int version = 0, n = 0;
    EngCuResult rc = d->driver_version(&version);
    if (rc == ENG_CU_SUCCESS && version < LEAST_VERSION) {
        snprintf(
            ret_reason, REASON,
            "the NVIDIA driver is too old: it offers CUDA %d.%d, and 12.0 is needed: install a "
            "newer one",
            version / 1000, version % 1000 / 10);
        return false;
    }
    if (rc == ENG_CU_SUCCESS) rc = d->device_count(&n);
    if (rc == ENG_CU_SUCCESS && n <= 0) rc = ENG_CU_NO_DEVICE;
    if (rc != ENG_CU_SUCCESS) {
        explain_error(rc, ret_reason);
        return false;
    }
    for (int i = 0, found = 0; i < n; i++) {
        char name[NAME] = "";
        if (!describe(d, i, ret_device, name, ret_total, ret_available, ret_reason)) continue;
        if (found++ < nth) {
            snprintf(ret_reason, REASON, "there is no GPU number %d", nth + 1);
            continue;
        }
        memcpy(ret_name, name, NAME);
        ret_reason[0] = '\0'; /* an earlier device's */
        return true;
    }
    return false;
}
