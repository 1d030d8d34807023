#include "cuda/image.h"

#include <stddef.h>

/* Embedded by the assembler: the same line for ELF and for PE. IMAGES(X) comes from meson: the
 * kernel files that nvcc compiled, and where. */
#ifdef _WIN32
#define SECTION ".section .rdata,\"dr\"\n"
#else
#define SECTION ".section .rodata\n"
#endif

#define X(name, path)                                                                              \
    __asm__(SECTION ".balign 64\n.globl eng_image_" #name "\neng_image_" #name                     \
                    ":\n.incbin \"" path "\"\n.byte 0\n.text");                                    \
    extern const char eng_image_##name[];
IMAGES(X)
#undef X

const EngCuImage eng_cuda_images[] = {
#define X(name, path) {#name, eng_image_##name},
    IMAGES(X)
#undef X
        {NULL, NULL},
};
