/* What gauge.c and gauge_parts.c share: threads, and what they measure with. */
#ifndef ENG_GAUGE_H
#define ENG_GAUGE_H

#include "base/pool.h"
#include "cpu/kernels.h"

enum {
    NUMBERS = 2048, /* in a row */
    ROWS = 32,      /* of a piece for many tokens, and for one */
    ONE_ROWS = 128,
    MOST_TOKENS = 256,
    PIECE = 1 << 20 /* bytes that a thread reads at once */
};
#define WEIGHTS_BYTES ((size_t)256 << 20)

/* As in op_attn.c; GROUP: queries at once in 16 bits. */
enum { QUERIES = 64, POSITIONS = 64, DK = 576, DV = 512, STRIDE = DK + 16, GROUP = 32 };

/* k: rows as floats, or what the products with bytes take for themselves; room, values, weights:
 * what those in 16 bits make of keys, of values and of weights. */
typedef struct {
    float room[ENG_Q8_POSITIONS * (DK / 2 + ENG_I16_BLOCKS(DK))];
    float values[ENG_Q8_POSITIONS + DV * (ENG_Q8_POSITIONS + 2) / 2];
    float weights[(ENG_Q8_POSITIONS + 5) * GROUP / 2];
    float k[ENG_Q8_POSITIONS * STRIDE], q[DK * QUERIES], s[ENG_Q8_POSITIONS * QUERIES],
        o[DV * QUERIES];
    float keep[QUERIES];
} Attention;

struct EngGauge {
    EngPool *pool;
    EngCpuLevel level;
    uint8_t *weights;     /* [WEIGHTS_BYTES] */
    float *y;             /* [threads][MOST_TOKENS * ROWS] */
    uint8_t *x;           /* [MOST_TOKENS] rows of activations */
    Attention *attention; /* [threads], attention_bytes */
    size_t attention_bytes;
    /* of the running measurement */
    EngType type;
    int tokens, rows; /* of a tile */
    int64_t count;    /* tiles or rounds */
    int64_t from;     /* rounds go on where the last one stopped, so that no cache has seen it */
    int64_t ops;      /* of one thread */
    int64_t blocks;
    const struct EngGaugePart *part;
};

/* Of pieces of work, at most `most` at once, the most per second, in about a tenth of a second: the
 * threads draw numbers up to count, from `from` on. */
double eng_gauge_rate(EngGauge *gauge, EngPoolFn *fn, int64_t most);

#endif
