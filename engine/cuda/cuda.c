#include "cuda/cuda.h"

#include "cuda/driver.h"

bool eng_cuda_probe(char ret_name[96], uint64_t *ret_total, uint64_t *ret_available,
                    char ret_reason[160])
{
    EngDriver driver;
    if (!eng_driver_open(&driver, ENG_CUDA_LIBRARY, ENG_NVML_LIBRARY, ret_reason)) return false;
    EngCuDevice device;
    bool ok = eng_driver_probe(&driver, 0, &device, ret_name, ret_total, ret_available, ret_reason);
    eng_driver_close(&driver);
    return ok;
}
