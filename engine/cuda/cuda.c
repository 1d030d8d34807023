#include "cuda/cuda.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/num.h"
#include "cuda/driver.h"
#include "cuda/kernels/names.h"

static bool describe(const EngDriver *driver, int nth, EngHostGpu *ret, char ret_reason[160])
{
    EngCuDevice device;
    if (!eng_driver_probe(driver, nth, &device, ret->name, &ret->vram_total, &ret->vram_available,
                          ret_reason))
        return false;
    if (driver->device_attribute(&ret->processors, ENG_CU_PROCESSORS, device) != ENG_CU_SUCCESS)
        ret->processors = 0;
    return true;
}

int eng_cuda_probe(EngHostGpu ret[ENG_MAX_GPUS], char ret_reason[160])
{
    EngDriver driver;
    char none[160];
    int n = 0;
    if (!eng_driver_open(&driver, eng_cuda_library(), eng_cuda_nvml_library(), ret_reason))
        return 0;
    while (n < ENG_MAX_GPUS && describe(&driver, n, &ret[n], n ? none : ret_reason)) n++;
    if (n > 0 && !eng_driver_has_kernels(&driver)) {
        snprintf(ret_reason, 160, ENG_CUDA_NO_KERNELS);
        n = 0;
    }
    eng_driver_close(&driver);
    return n;
}

const EngKernel *eng_cuda_kernel(EngType type)
{
#define FORMAT(T) ENG_TYPE_##T,
    static const EngType formats[] = {ENG_CU_FORMATS(FORMAT)};
    static EngKernel kernels[ENG_TYPE_COUNT];
    static char names[ENG_TYPE_COUNT][ENG_KERNEL_NAME];
    enum { EMPTY, FILLING, FULL };
    static atomic_int state = EMPTY;
    int seen = EMPTY;
    if (atomic_compare_exchange_strong(&state, &seen, FILLING)) {
        for (size_t i = 0; i < ENG_LEN(formats); i++) {
            EngType t = formats[i];
            eng_kernel_name(t, "cuda", names[t]);
            kernels[t] = (EngKernel){names[t], t, eng_type_info(t)->act, NULL};
        }
        atomic_store(&state, FULL);
    }
    while (atomic_load(&state) != FULL) {} /* another thread is at it */
    return kernels[type].name ? &kernels[type] : NULL;
}
