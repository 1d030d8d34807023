#include "cuda/cuda.h"

#include <stdio.h>

#include "cuda/driver.h"

bool eng_cuda_probe(EngCudaProbe *ret, char ret_reason[160])
{
    EngDriver driver;
    if (!eng_driver_open(&driver, eng_cuda_library(), eng_cuda_nvml_library(), ret_reason))
        return false;
    EngCuDevice device;
    bool ok =
        eng_driver_probe(&driver, 0, &device, ret->name, &ret->total, &ret->available, ret_reason);
    if (ok && driver.device_attribute(&ret->processors, ENG_CU_PROCESSORS, device) != 0)
        ret->processors = 0;
    if (ok && !eng_driver_has_kernels(&driver)) {
        snprintf(ret_reason, 160, ENG_CUDA_NO_KERNELS);
        ok = false;
    }
    eng_driver_close(&driver);
    return ok;
}
