#include "models/ember.h"

#ifdef _WIN32
#define SECTION ".section .rdata,\"dr\"\n"
#else
#define SECTION ".section .rodata\n"
#endif

/* The assembler copies the file in. `.previous` is no word of PE assemblers: back to .text. */
__asm__(SECTION ".balign 64\n"
                ".globl hearth_ember_begin\n"
                "hearth_ember_begin:\n"
                ".incbin \"" HEARTH_EMBER_FILE "\"\n"
                ".globl hearth_ember_end\n"
                "hearth_ember_end:\n"
                ".byte 0\n"
                ".text\n");

extern const unsigned char hearth_ember_begin[], hearth_ember_end[];

const void *hearth_ember_data(size_t *ret_size)
{
    *ret_size = (size_t)(hearth_ember_end - hearth_ember_begin);
    return hearth_ember_begin;
}
