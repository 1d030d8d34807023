#include "sample/rng.h"

uint64_t eng_rng_splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void eng_rng_seed(EngRng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) rng->s[i] = eng_rng_splitmix(&seed);
}

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

uint64_t eng_rng_next(EngRng *rng)
{
    uint64_t *s = rng->s, out = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 45);
    return out;
}

double eng_rng_uniform(EngRng *rng) { return (double)(eng_rng_next(rng) >> 11) * 0x1p-53; }
