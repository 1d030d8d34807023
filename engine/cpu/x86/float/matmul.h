/* The walk of the products with float weights. Written once for every instruction set: the file
 * that includes this has defined INLINE, UNROLL, Floats, HELD, all, mul_add, loadf, storef, LANES,
 * TILE_ROWS, total_of and totals_of (of one vector and of LANES of them, added in the same order).
 *
 * A row times a token is LANES sums, each of the numbers that stand in its lane, from the first to
 * the last, and then the sum of those: whatever rows and tokens meet in a call, the same bits. */
#ifndef ENG_CPU_X86_FLOAT_MATMUL_H
#define ENG_CPU_X86_FLOAT_MATMUL_H

typedef Floats LoadFn(const char *row, int64_t i);            /* LANES weights from number i on */
typedef Floats LoadSomeFn(const char *row, int64_t i, int n); /* n of them, zeros behind */

typedef struct {
    LoadFn *load;
    LoadSomeFn *some;
    size_t size; /* bytes of a weight */
} FloatKind;

enum {
    STREAMS = 4,
    TILE_TOKENS = 6,
    TILE_COLS = 512,
    CHUNK_ROWS = 64, /* a multiple of TILE_ROWS */
    AHEAD = 2048,    /* see rows.h */
    FEW = 36,        /* so many tokens, and as many numbers of theirs, stay in the second-level */
    FEW_NUMBERS = 1 << 17, /* cache while rows of halves come and go */
};

/* Activations: those of the next LANES numbers are `step` bytes on. They are also stored as
 * [numbers / LANES][tokens][LANES] where `packed` is not NULL. */
typedef struct {
    const char *at;
    size_t token, step;
    float *packed;
} Acts;

/* What is asked for while rows are multiplied: what lies `from` bytes behind where each begins, and
 * with each LANES weights `step` bytes on. */
typedef struct {
    ptrdiff_t from, step;
} Ahead;

/* ---- rows x tokens, constants ---------------------------------------------------------------- */

/* A load for each product, which compilers prefer to a register, is one more than there is time
 * for. */
INLINE void add_products(int rows, int tokens, const Floats *weights, Acts x,
                         Floats acc[][TILE_TOKENS])
{
    UNROLL for (int t = 0; t < tokens; t++)
    {
        Floats xs = loadf((const float *)(const void *)(x.at + (size_t)t * x.token));
        HELD(xs);
        if (x.packed) storef(x.packed + t * LANES, xs);
        UNROLL for (int r = 0; r < rows; r++) acc[r][t] = mul_add(weights[r], xs, acc[r][t]);
    }
}

INLINE void add_last(FloatKind kind, int rows, int tokens, const char *const *w, int64_t i, int n,
                     Acts x, Floats acc[][TILE_TOKENS])
{
    float last[TILE_TOKENS][LANES] = {{0}};
    Floats weights[STREAMS];
    for (int t = 0; t < tokens; t++)
        __builtin_memcpy(last[t], x.at + (size_t)t * x.token, (size_t)n * sizeof **last);
    UNROLL for (int r = 0; r < rows; r++) weights[r] = kind.some(w[r], i, n);
    add_products(rows, tokens, weights, (Acts){(const char *)last, sizeof *last, 0, x.packed}, acc);
}

/* Numbers from `i` to `end`. */
INLINE void add_rows(FloatKind kind, int rows, int tokens, const char *const *w, int64_t i,
                     int64_t end, Ahead ahead, Acts x, Floats acc[][TILE_TOKENS])
{
    Floats weights[STREAMS];
    for (; i + LANES <= end; i += LANES, x.at += x.step, ahead.from += ahead.step) {
        UNROLL for (int r = 0; r < rows; r++)
        {
            _mm_prefetch(w[r] + ahead.from, _MM_HINT_T0);
            weights[r] = kind.load(w[r], i);
        }
        add_products(rows, tokens, weights, x, acc);
        if (x.packed) x.packed += tokens * LANES;
    }
    if (i < end) add_last(kind, rows, tokens, w, i, (int)(end - i), x, acc);
}

#define EACH_GROUP(tokens, CASE)                                                                   \
    switch (tokens) {                                                                              \
        CASE(1);                                                                                   \
        CASE(2);                                                                                   \
        CASE(3);                                                                                   \
        CASE(4);                                                                                   \
        CASE(5);                                                                                   \
        CASE(6);                                                                                   \
    }

/* Groups of nearly the same size. */
INLINE int groups_of(int n_tokens) { return (n_tokens + TILE_TOKENS - 1) / TILE_TOKENS; }

/* ---- few tokens ------------------------------------------------------------------------------ */

/* To y[token][at[row]]. */
INLINE void few_rows(FloatKind kind, int64_t n, int rows, int tokens, const char *const *w,
                     const int *at, Ahead ahead, const char *x, size_t x_stride, float *y,
                     size_t y_stride)
{
    Floats acc[STREAMS][TILE_TOKENS] = {{{0}}};
    Acts acts = {x, x_stride, LANES * sizeof(float), NULL};
    add_rows(kind, rows, tokens, w, 0, n, ahead, acts, acc);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        UNROLL for (int r = 0; r < rows; r++) y[(size_t)t * y_stride + (size_t)at[r]] =
            total_of(acc[r][t]);
    }
}

/* All tokens that a row meets, group by group; each asks for its share of the rows that come next.
 */
INLINE void few_groups(FloatKind kind, int64_t n, int n_tokens, const char *const *w, const int *at,
                       ptrdiff_t next, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    int groups = groups_of(n_tokens), first = 0;
    Ahead ahead = {next, (LANES * (int)kind.size + groups - 1) / groups};
    for (int left = groups; left > 0; left--) {
        int tokens = (n_tokens - first) / left;
        const char *xs = x + (size_t)first * x_stride;
        float *ys = y + (size_t)first * y_stride;
#define CASE(tokens)                                                                               \
    case tokens:                                                                                   \
        few_rows(kind, n, tokens <= 2 ? STREAMS : TILE_ROWS, tokens, w, at, ahead, xs, x_stride,   \
                 ys, y_stride);                                                                    \
        break
        EACH_GROUP(tokens, CASE)
#undef CASE
        first += tokens;
        ahead.from += n * (ptrdiff_t)kind.size / groups;
    }
}

/* Memory is the limit. A single group reads rows far apart at once, each a stream. */
INLINE void few_tokens(FloatKind kind, int64_t n, int n_rows, int n_tokens, const char *w,
                       size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    bool single = n_tokens <= TILE_TOKENS;
    int streams = n_tokens <= 2 ? STREAMS : TILE_ROWS, part = (n_rows + streams - 1) / streams;
    ptrdiff_t next = single ? AHEAD : streams * (ptrdiff_t)w_stride;
    for (int i = 0; i < part; i++) {
        const char *rows[STREAMS];
        int at[STREAMS];
        for (int s = 0; s < streams; s++) { /* the last row may come more than once */
            at[s] = ENG_MIN(single ? i + s * part : i * streams + s, n_rows - 1);
            rows[s] = w + (size_t)at[s] * w_stride;
        }
        few_groups(kind, n, n_tokens, rows, at, next, x, x_stride, y, y_stride);
    }
}

/* ---- many tokens ----------------------------------------------------------------------------- */

typedef struct {
    float x[TILE_COLS * TILE_TOKENS];
    Floats sums[TILE_TOKENS][CHUNK_ROWS];
} Room;

/* TILE_ROWS rows from row r on, and some of their numbers, to the room's sums. */
INLINE void tile(FloatKind kind, int tokens, const char *const *w, int64_t from, int64_t to,
                 ptrdiff_t next, Acts x, Room *room, int r)
{
    Floats acc[TILE_ROWS][TILE_TOKENS] = {{{0}}};
    UNROLL for (int t = 0; t < tokens && from > 0; t++)
    {
        UNROLL for (int i = 0; i < TILE_ROWS; i++) acc[i][t] = room->sums[t][r + i];
    }
    Ahead ahead = {next + from * (ptrdiff_t)kind.size, LANES * (ptrdiff_t)kind.size};
    add_rows(kind, TILE_ROWS, tokens, w, from, to, ahead, x, acc);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        UNROLL for (int i = 0; i < TILE_ROWS; i++) room->sums[t][r + i] = acc[i][t];
    }
}

/* Some columns of up to CHUNK_ROWS rows. The first rows read activations where they lie, which may
 * be a multiple of 4 KiB apart, and pack them for the others. */
INLINE void columns_of(FloatKind kind, int64_t from, int64_t to, int n_rows, int tokens,
                       const char *w, size_t w_stride, const char *x, size_t x_stride, Room *room)
{
    const size_t vector = LANES * sizeof(float);
    const Acts first = {x + (size_t)from * sizeof(float), x_stride, vector, room->x};
    const Acts packed = {(const char *)room->x, vector, (size_t)tokens * vector, NULL};
    for (int r = 0; r < n_rows; r += TILE_ROWS) {
        const char *rows[TILE_ROWS];
        UNROLL for (int i = 0; i < TILE_ROWS; i++) rows[i] =
            w + (size_t)ENG_MIN(r + i, n_rows - 1) * w_stride;
        ptrdiff_t next = TILE_ROWS * (ptrdiff_t)w_stride;
        if (r == 0)
            tile(kind, tokens, rows, from, to, next, first, room, 0);
        else
            tile(kind, tokens, rows, from, to, next, packed, room, r);
    }
}

/* Up to CHUNK_ROWS rows with a group. */
INLINE void chunk(FloatKind kind, int64_t n, int n_rows, int tokens, const char *w, size_t w_stride,
                  const char *x, size_t x_stride, Room *room, float *y, size_t y_stride)
{
    for (int64_t from = 0; from < n; from += TILE_COLS)
        columns_of(kind, from, ENG_MIN(from + TILE_COLS, n), n_rows, tokens, w, w_stride, x,
                   x_stride, room);
    for (int t = 0; t < tokens; t++, y += y_stride) {
        int r = 0;
        for (; r + LANES <= n_rows; r += LANES) storef(y + r, totals_of(room->sums[t] + r));
        for (; r < n_rows; r++) y[r] = total_of(room->sums[t][r]);
    }
}

INLINE void many_tokens(FloatKind kind, int64_t n, int n_rows, int n_tokens, const char *w,
                        size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    Room room;
    for (int left = groups_of(n_tokens); left > 0; left--) {
        int tokens = n_tokens / left;
#define CASE(tokens)                                                                               \
    case tokens: chunk(kind, n, n_rows, tokens, w, w_stride, x, x_stride, &room, y, y_stride); break
        EACH_GROUP(tokens, CASE)
#undef CASE
        n_tokens -= tokens;
        x += (size_t)tokens * x_stride, y += (size_t)tokens * y_stride;
    }
}

INLINE void float_matmul(FloatKind kind, int64_t n, int n_rows, int n_tokens, const char *w,
                         size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    if (n_tokens <= TILE_TOKENS ||
        (kind.size == 2 && n_tokens <= FEW && n * n_tokens <= FEW_NUMBERS)) {
        few_tokens(kind, n, n_rows, n_tokens, w, w_stride, x, x_stride, y, y_stride);
        return;
    }
    for (int r = 0; r < n_rows; r += CHUNK_ROWS)
        many_tokens(kind, n, ENG_MIN(n_rows - r, CHUNK_ROWS), n_tokens, w + (size_t)r * w_stride,
                    w_stride, x, x_stride, y + r, y_stride);
}

/* Of a format of so many bytes with load_name and some_name. */
#define FLOAT_MATMUL(name, bytes)                                                                  \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const FloatKind kind = {load_##name, some_##name, bytes};                                  \
        float_matmul(kind, n, n_rows, n_tokens, w, w_stride, x, x_stride, y, y_stride);            \
    }

#endif
