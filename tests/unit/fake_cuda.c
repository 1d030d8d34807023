/* A driver for test_cuda.c: libcuda and NVML in one library, with what the variables FAKE_… say. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The names are NVIDIA's; no header of ours declares them. */
int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int ordinal);
int cuDeviceGetName(char *name, int size, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device);
int cuDeviceGetPCIBusId(char *id, int size, int device);
int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device);
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long memory[3]);

static int setting(const char *name, int otherwise)
{
    const char *value = getenv(name);
    return value ? atoi(value) : otherwise;
}

int cuInit(unsigned flags) { return flags ? 1 : setting("FAKE_INIT", 0); }

int cuDriverGetVersion(int *version)
{
    *version = setting("FAKE_VERSION", 12040);
    return 0;
}

int cuDeviceGetCount(int *count)
{
    *count = setting("FAKE_COUNT", 2);
    return setting("FAKE_COUNT_ERROR", 0);
}

int cuDeviceGet(int *device, int ordinal)
{
    *device = 70 + ordinal;
    return 0;
}

int cuDeviceGetName(char *name, int size, int device)
{
    if (setting("FAKE_LONG_NAME", 0))
        memset(name, 'x', (size_t)size);
    else
        strcpy(name, device == 70 ? "Old GPU" : "New GPU");
    return setting("FAKE_NAME_ERROR", 0);
}

int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
    *bytes = device == 70 ? (size_t)8 << 30 : (size_t)24 << 30;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    *value = attribute == 75 ? (device == 70 ? 6 : 8) : attribute == 76 ? 9 : -1;
    return 0;
}

int cuDeviceGetPCIBusId(char *id, int size, int device)
{
    strncpy(id, device == 71 ? "0000:65:00.0" : "0000:17:00.0", (size_t)size);
    return 0;
}

static int nvml_users;

int nvmlInit_v2(void)
{
    int rc = setting("FAKE_NVML", 0);
    nvml_users += rc == 0;
    return rc;
}

int nvmlShutdown(void) { return nvml_users-- > 0 ? 0 : 1; }

int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device)
{
    static int handle;
    if (nvml_users == 0 || strcmp(id, "0000:65:00.0") != 0) return 6;
    *device = &handle;
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long memory[3])
{
    if (!device) return 2;
    memory[0] = 24ull << 30;
    memory[1] = 20ull << 30;
    memory[2] = 4ull << 30;
    return setting("FAKE_NVML_MEMORY", 0);
}
