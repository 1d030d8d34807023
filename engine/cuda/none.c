/* The driver of a build without GPU support (-Dcuda=disabled): there is none. */
#include <stdio.h>

#include "cuda/driver.h"

const char *eng_cuda_library(void) { return "none"; }
const char *eng_cuda_nvml_library(void) { return "none"; }

bool eng_driver_open(EngDriver *ret_driver, const char *cuda_library, const char *nvml_library,
                     char ret_reason[160])
{
    (void)ret_driver, (void)cuda_library, (void)nvml_library;
    snprintf(ret_reason, 160, "this build has no GPU support");
    return false;
}

void eng_driver_close(EngDriver *driver) { (void)driver; }

bool eng_driver_has_kernels(const EngDriver *driver)
{
    (void)driver;
    return false;
}

bool eng_driver_complete(EngDriver *driver, char ret_reason[160])
{
    (void)driver, (void)ret_reason;
    return false;
}

bool eng_driver_probe(const EngDriver *driver, int nth, EngCuDevice *ret_device, char ret_name[96],
                      uint64_t *ret_total, uint64_t *ret_available, char ret_reason[160])
{
    (void)driver, (void)nth, (void)ret_device, (void)ret_name, (void)ret_total;
    (void)ret_available, (void)ret_reason;
    return false;
}
