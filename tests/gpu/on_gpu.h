/* The device that a program of these tests runs on, and memory of it. Each program is one file, so
 * everything is static. */
#ifndef TESTS_GPU_ON_GPU_H
#define TESTS_GPU_ON_GPU_H

#include "cuda/device.h"
#include "test.h"

#define UNUSED __attribute__((unused))

static EngCuda *gpu;

/* The simulated device, or with HEARTH_GPU the machine's own. */
static UNUSED bool gpu_open(void)
{
    char reason[160] = "";
    EngCudaSettings settings = {.cuda_library = getenv("HEARTH_GPU") ? NULL : CUDA_SIM};
    gpu = eng_cuda_open(&settings, reason);
    if (!gpu) printf("Bail out! %s\n", reason);
    return gpu != NULL;
}

static UNUSED void gpu_sync(void)
{
    EngError err = {0};
    CHECK_MSG(eng_cuda_sync(gpu, &err), "%s", err.message);
}

/* Device memory of exactly so many bytes, freed at once by gpu_clear. */
enum { MEMORIES = 64 };
static void *memories[MEMORIES];
static int n_memories;

static UNUSED void *device(size_t bytes, const void *from)
{
    EngError err = {0};
    void *memory = eng_cuda_alloc(gpu, bytes, "a test", &err);
    if (!memory || n_memories == MEMORIES) {
        printf("Bail out! no memory for a test\n");
        exit(1);
    }
    memories[n_memories++] = memory;
    if (from) CHECK(eng_cuda_write(gpu, memory, from, bytes, &err));
    return memory;
}

static UNUSED void fetch(void *to, const void *from, size_t bytes)
{
    EngError err = {0};
    CHECK_MSG(eng_cuda_read(gpu, to, from, bytes, &err), "%s", err.message);
}

static UNUSED void gpu_clear(void)
{
    for (int i = 0; i < n_memories; i++) eng_cuda_free(gpu, memories[i]);
    n_memories = 0;
}

#endif
