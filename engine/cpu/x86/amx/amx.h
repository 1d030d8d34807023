/* AMX in plain words: eight tiles of up to 16 rows of 64 bytes. Tile numbers are constants.
 * Included only by files that are compiled with its flags. Tests compile them once more with the
 * words defined beforehand, by a model of the instructions in C, and so run the same kernels on any
 * machine.
 *
 * A call of a kernel configures the tiles and releases them at its end: that costs some dozen
 * cycles, and the system need not save tiles when it changes threads between calls. */
#ifndef ENG_CPU_X86_AMX_AMX_H
#define ENG_CPU_X86_AMX_AMX_H

#include <stdint.h>

/* What LDTILECFG reads. */
typedef struct {
    uint8_t palette, start_row, zeros[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} AmxConfig;

#if !defined(AMX_ISA)

#include <immintrin.h>

/* gcc's intrinsics do not say that they touch memory. */
#define AMX_MEMORY() __asm__ volatile("" ::: "memory")

#define AMX_ISA(name) name##_amx
#define amx_configure(config)                                                                      \
    do {                                                                                           \
        AMX_MEMORY();                                                                              \
        _tile_loadconfig(config);                                                                  \
    } while (0)
#define amx_release() _tile_release()
#define amx_zero(tile) _tile_zero(tile)
#define amx_load(tile, from, stride)                                                               \
    do {                                                                                           \
        AMX_MEMORY();                                                                              \
        _tile_loadd(tile, from, stride);                                                           \
    } while (0)
#define amx_store(tile, to, stride)                                                                \
    do {                                                                                           \
        _tile_stored(tile, to, stride);                                                            \
        AMX_MEMORY();                                                                              \
    } while (0)
/* sums += a * b, rows of a by columns of b, in which four numbers lie below each other; both
 * signed; a signed, b unsigned; pairs of bfloat16 into floats. */
#define amx_add_ss(sums, a, b) _tile_dpbssd(sums, a, b)
#define amx_add_su(sums, a, b) _tile_dpbsud(sums, a, b)
#define amx_add_bf16(sums, a, b) _tile_dpbf16ps(sums, a, b)

#endif

#endif
