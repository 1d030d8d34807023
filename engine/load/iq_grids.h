/* The codebooks of the IQ formats: each entry is eight (IQ3: four) neighbouring numbers of a block,
 * a byte each, the first in the lowest byte. Blocks hold indices into them, and 8-bit indices with
 * more bits elsewhere; every pattern of an index is an entry.
 *
 * The numbers are facts of the formats: iq_grids.py writes iq_grids.c from the tables of the `gguf`
 * package. Entries of IQ2 and IQ3 are magnitudes, to which the block adds signs; those of IQ1 are
 * signed and in eighths, for the block moves them by an eighth up or down. */
#ifndef ENG_LOAD_IQ_GRIDS_H
#define ENG_LOAD_IQ_GRIDS_H

#include <stdint.h>

#ifndef ENG_GRID /* else: kernels of a device, which include iq_grids.c for a copy of their own */
#define ENG_GRID const
extern const uint64_t eng_grid_iq2_xxs[256]; /* 8, 25, 43 */
extern const uint64_t eng_grid_iq2_xs[512];
extern const uint64_t eng_grid_iq2_s[1024];
extern const uint32_t eng_grid_iq3_xxs[256]; /* 4, 12, 20, 28, 36, 44, 52, 62 */
extern const uint32_t eng_grid_iq3_s[512];   /* 1, 3, … 15 */
extern const uint64_t eng_grid_iq1[2048];    /* -8, 0, 8 */

extern const int8_t eng_values_iq4[16]; /* what a nibble of IQ4_NL and IQ4_XS means */
extern const int8_t eng_values_mxfp4[16];
#endif

#endif
