/* Finding the GPU: every way of not having one gives a reason and nothing else. The driver is
 * fake_cuda.c; on a machine with a GPU, eng_cuda_probe is also asked about the true one. */
#include "cuda/cuda.h"
#include "cuda/driver.h"
#include "test.h"

typedef struct {
    char name[96], reason[160];
    uint64_t total, available;
    bool found;
} Gpu;

/* The variable is set for this one probe; NULL = none. */
static Gpu probe(const char *cuda, const char *nvml, const char *variable, const char *value)
{
    Gpu g = {.name = "untouched", .total = 1, .available = 2};
    EngDriver d;
    EngCuDevice device;
    if (variable) setenv(variable, value, 1);
    if (eng_driver_open(&d, cuda, nvml, g.reason)) {
        g.found = eng_driver_probe(&d, 0, &device, g.name, &g.total, &g.available, g.reason);
        eng_driver_close(&d);
    }
    if (variable) unsetenv(variable);
    return g;
}

static void check_none(Gpu g, const char *reason)
{
    CHECK(!g.found);
    CHECK_STR(g.reason, reason);
    CHECK_STR(g.name, "untouched");
    CHECK(g.total == 1 && g.available == 2);
}

static void check_found(Gpu g, uint64_t available)
{
    CHECK(g.found);
    CHECK_STR(g.name, "New GPU"); /* the first device is too old */
    CHECK_STR(g.reason, "");
    CHECK_INT(g.total, (uint64_t)24 << 30);
    CHECK_INT(g.available, available);
}

static void a_gpu_is_described(void)
{
    check_found(probe(FAKE_CUDA, FAKE_CUDA, NULL, NULL), (uint64_t)20 << 30);
    Gpu g = probe(FAKE_CUDA, FAKE_CUDA, "FAKE_LONG_NAME", "1");
    CHECK(g.found);
    CHECK_INT(strlen(g.name), 95);
}

static void without_nvml_the_available_memory_is_unknown(void)
{
    check_found(probe(FAKE_CUDA, "libno-such-thing.so.1", NULL, NULL), 0);
    check_found(probe(FAKE_CUDA, "libm.so.6", NULL, NULL), 0); /* not NVML at all */
    check_found(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_NVML", "9"), 0);
    check_found(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_NVML_MEMORY", "3"), 0);
}

static void no_driver_is_a_reason(void)
{
    check_none(probe("libno-such-thing.so.1", FAKE_CUDA, NULL, NULL),
               "no NVIDIA driver: libno-such-thing.so.1 was not found");
    check_none(probe("libm.so.6", FAKE_CUDA, NULL, NULL),
               "the NVIDIA driver is too old (it has no cuInit): install a newer one");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_VERSION", "11080"),
               "the NVIDIA driver is too old: it offers CUDA 11.8, and 12.0 is needed: install a "
               "newer one");
}

static void a_failing_driver_is_a_reason(void)
{
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_INIT", "100"), "the NVIDIA driver sees no GPU");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_COUNT", "0"), "the NVIDIA driver sees no GPU");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_INIT", "803"),
               "the NVIDIA driver was updated while in use: restart the computer");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_INIT", "999"),
               "the NVIDIA driver does not work (error 999): restart the computer or install the "
               "driver again");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_COUNT_ERROR", "3"),
               "the NVIDIA driver does not work (error 3): restart the computer or install the "
               "driver again");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_NAME_ERROR", "1"),
               "the NVIDIA driver does not describe its GPU: restart the computer");
    check_none(probe(FAKE_CUDA, FAKE_CUDA, "FAKE_COUNT", "1"),
               "Old GPU is too old: its compute capability is 6.9, and 7.5 is needed");
}

static void this_machine_has_a_gpu_or_a_reason(void)
{
    Gpu g = {0};
    EngHostGpu all[ENG_MAX_GPUS] = {0};
    g.found = eng_cuda_probe(all, g.reason) > 0;
    EngHostGpu p = all[0];
    if (g.found) memcpy(g.name, p.name, sizeof g.name);
    g.total = p.vram_total;
    g.available = p.vram_available;
    CHECK((g.name[0] != '\0') == g.found);
    CHECK((g.reason[0] == '\0') == g.found);
    CHECK(!g.found || (g.total > 0 && g.available <= g.total));
    printf("# %s%s\n", g.name, g.reason);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"a_gpu_is_described", a_gpu_is_described},
        {"without_nvml_the_available_memory_is_unknown",
         without_nvml_the_available_memory_is_unknown},
        {"no_driver_is_a_reason", no_driver_is_a_reason},
        {"a_failing_driver_is_a_reason", a_failing_driver_is_a_reason},
        {"this_machine_has_a_gpu_or_a_reason", this_machine_has_a_gpu_or_a_reason},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
