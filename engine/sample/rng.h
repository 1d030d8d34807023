/* The random numbers behind a draw: xoshiro256** (Blackman and Vigna, "Scrambled Linear
 * Pseudorandom Number Generators", 2018), its state filled by splitmix64 (Steele, Lea and Flood,
 * "Fast Splittable Pseudorandom Number Generators", 2014) as its authors advise. Integer
 * arithmetic only, so a seed means the same sequence on every machine. */
#ifndef ENG_SAMPLE_RNG_H
#define ENG_SAMPLE_RNG_H

#include <stdint.h>

typedef struct {
    uint64_t s[4]; /* not all zero */
} EngRng;

uint64_t eng_rng_splitmix(uint64_t *state);
void eng_rng_seed(EngRng *rng, uint64_t seed);
uint64_t eng_rng_next(EngRng *rng);
double eng_rng_uniform(EngRng *rng); /* [0, 1), 53 random bits */

#endif
