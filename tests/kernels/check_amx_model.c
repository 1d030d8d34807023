/* The model of AMX against the manual: what faults, what becomes zero, and sums computed another
 * way or by hand. */
#define TEST_PART
#include "check.h"
#include "amx_model.h"

typedef struct {
    uint8_t palette, start_row, zeros[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} Config;

static const Config full = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16, 16, 16},
};

static char fault[96];

static void note_fault(const char *instruction, const char *why)
{
    snprintf(fault, sizeof fault, "%s %s", instruction, why);
}

/* What the last instructions faulted with, and no more of it. */
static const char *take_fault(void)
{
    static char last[sizeof fault];
    memcpy(last, fault, sizeof last);
    *fault = 0;
    return last;
}

static void configure(int tile, int rows, int row_bytes) /* one tile otherwise, the others full */
{
    Config c = full;
    c.rows[tile] = (uint8_t)rows;
    c.row_bytes[tile] = (uint16_t)row_bytes;
    amx_model_configure(&c);
}

static void check_faults(void)
{
    static const Config bad[] = {
        {.palette = 2, .row_bytes = {64}, .rows = {16}},
        {.palette = 1, .zeros = {[13] = 1}, .row_bytes = {64}, .rows = {16}},
        {.palette = 1, .row_bytes = {65}, .rows = {16}},
        {.palette = 1, .row_bytes = {64}, .rows = {17}},
        {.palette = 1, .row_bytes = {64}},
        {.palette = 1, .rows = {16}},
        {.palette = 1, .row_bytes = {[8] = 64}},
        {.palette = 1, .rows = {[8] = 16}},
    };
    uint8_t bytes[1024];
    amx_model_release();
    amx_model_load(0, bytes, 64);
    CHECK_STR(take_fault(), "TILELOADD tiles are not configured");
    for (size_t i = 0; i < ENG_LEN(bad); i++) {
        amx_model_configure(&bad[i]);
        CHECK_MSG(strstr(take_fault(), "LDTILECFG") != NULL, "configuration %zu passes", i);
        CHECK(!amx_model_configured());
    }
    configure(3, 0, 0);
    CHECK_STR(take_fault(), "");
    amx_model_zero(3);
    CHECK_STR(take_fault(), "TILEZERO the tile is not configured");
    amx_model_add_bytes(0, 1, 1, true);
    CHECK_STR(take_fault(), "TDPBSSD a tile is used twice");
    amx_model_add_bf16(2, 1, 2);
    CHECK_STR(take_fault(), "TDPBF16PS a tile is used twice");
    static const struct {
        int tile, rows, row_bytes;
    } unfit[] = {{0, 15, 64}, {0, 16, 60}, {1, 15, 64}, {1, 16, 60},
                 {2, 15, 64}, {2, 16, 60}, {0, 16, 63}, {1, 16, 62}};
    for (size_t i = 0; i < ENG_LEN(unfit); i++) {
        configure(unfit[i].tile, unfit[i].rows, unfit[i].row_bytes);
        amx_model_add_bytes(0, 1, 2, false);
        CHECK_MSG(strstr(take_fault(), "TDPBSUD") != NULL, "shapes %zu pass", i);
    }
    Config none = {0};
    amx_model_configure(&none);
    CHECK_STR(take_fault(), "");
    CHECK(!amx_model_configured());
}

/* Rows come and go with their stride; what is beyond a tile's shape is zero, whatever was there. */
static void check_shapes(void)
{
    for (int i = 0; i < 200; i++) {
        int rows = test_range(1, 16), row_bytes = test_range(1, 64), stride = test_range(64, 100);
        uint8_t from[16 * 100], to[16 * 100], old[16 * 100];
        for (size_t j = 0; j < sizeof from; j++) from[j] = (uint8_t)test_random();
        for (size_t j = 0; j < sizeof to; j++) old[j] = to[j] = (uint8_t)test_random();
        configure(5, rows, row_bytes);
        amx_model_load(5, from, (size_t)stride);
        amx_model_store(5, to, (size_t)stride);
        for (int j = 0; j < 16 * stride; j++) {
            bool in = j / stride < rows && j % stride < row_bytes;
            CHECK_INT(to[j], in ? from[j] : old[j]);
        }
        for (int j = 0; j < 1024; j++) {
            bool in = j / 64 < rows && j % 64 < row_bytes;
            CHECK_INT(amx_model_bytes(5)[j], in ? from[j / 64 * stride + j % 64] : 0);
        }
        amx_model_zero(5);
        for (int j = 0; j < 1024; j++) CHECK_INT(amx_model_bytes(5)[j], 0);
    }
    /* an interrupted load goes on at start_row, once */
    uint8_t ones[1024];
    memset(ones, 1, sizeof ones);
    Config late = full;
    late.start_row = 3;
    amx_model_configure(&late);
    amx_model_load(0, ones, 64);
    CHECK_INT(amx_model_bytes(0)[2 * 64], 0);
    CHECK_INT(amx_model_bytes(0)[3 * 64], 1);
    amx_model_load(0, ones, 64);
    CHECK_INT(amx_model_bytes(0)[0], 1);
    CHECK_STR(take_fault(), "");
}

static void check_bytes(void)
{
    for (int i = 0; i < 60; i++) {
        int m = test_range(1, 16), n = test_range(1, 16), k = test_range(1, 16);
        bool both = i % 2;
        int8_t a[16][64];
        uint8_t b[16][64];
        uint32_t c[16][16], got[16][16];
        for (int j = 0; j < 1024; j++) {
            a[j / 64][j % 64] = i < 4 ? -128 : (int8_t)test_random();
            b[j / 64][j % 64] = i < 4 ? 128 + 127 * (i / 2) : (uint8_t)test_random();
            if (j < 256) c[j / 16][j % 16] = (uint32_t)test_random();
        }
        Config config = {.palette = 1,
                         .row_bytes = {(uint16_t)(4 * n), (uint16_t)(4 * k), (uint16_t)(4 * n)},
                         .rows = {(uint8_t)m, (uint8_t)m, (uint8_t)k}};
        amx_model_configure(&config);
        amx_model_load(0, c, 64);
        amx_model_load(1, a, 64);
        amx_model_load(2, b, 64);
        amx_model_add_bytes(0, 1, 2, both);
        amx_model_store(0, got, 64);
        for (int row = 0; row < m; row++)
            for (int col = 0; col < n; col++) {
                int64_t want = c[row][col];
                for (int j = 0; j < 4 * k; j++) {
                    int byte = b[j / 4][4 * col + j % 4];
                    want += a[row][j] * (both && byte > 127 ? byte - 256 : byte);
                }
                CHECK_INT(got[row][col], (uint32_t)want);
            }
        CHECK_INT(amx_model_bytes(0)[m < 16 ? 64 * m : 0] != 0, m < 16 ? 0 : got[0][0] % 256 != 0);
    }
    CHECK_STR(take_fault(), "");
}

static void bf16_bits(int pairs, const uint16_t *a, const uint16_t *b, uint32_t *c)
{
    Config config = {
        .palette = 1, .row_bytes = {4, (uint16_t)(4 * pairs), 4}, .rows = {1, 1, (uint8_t)pairs}};
    amx_model_configure(&config);
    amx_model_load(0, c, 4);
    amx_model_load(1, a, 64);
    amx_model_load(2, b, 4);
    amx_model_add_bf16(0, 1, 2);
    amx_model_store(0, c, 4);
}

/* Sums by hand, in the order that the manual gives: even and odd numbers apart, fused and rounded
 * to the nearest even, then both, then the old sum. */
static void check_bf16(void)
{
    enum {
        ONE = 0x3f80,
        TINY = 0x3380,
        MINUS = 0xbf80,
        SMALL = 0x0001,
        MIN = 0x0080,
        HALF = 0x3f00,
        INF = 0x7f80,
        BIG = 0x4b80
    }; /* 2^-24, subnormal, 2^-126, 0.5, 2^24 */
    static const struct {
        int pairs;
        uint16_t a[6], b[6];
        uint32_t c, want;
    } sums[] = {
        {1, {ONE, ONE}, {ONE, ONE}, 0x3f800000, 0x40400000},                /* 3 */
        {2, {ONE, 0, TINY, 0}, {ONE, 0, ONE, 0}, 0, 0x3f800000},            /* a tie goes to even */
        {3, {ONE, 0, TINY, 0, TINY}, {ONE, 0, ONE, 0, ONE}, 0, 0x3f800000}, /* each on its own */
        {2, {ONE, TINY, 0, TINY}, {ONE, ONE, 0, ONE}, 0, 0x3f800001},       /* odd ones first */
        {1, {BIG, 0}, {ONE, 0}, 0x3f800000, 0x4b800000},                    /* old sum last */
        {2, {BIG, 0, 0xcb80, 0}, {ONE, 0, ONE, 0}, 0x3f800000, 0x3f800000},
        {1, {SMALL, 0}, {0x7f00, 0}, 0, 0}, /* subnormal factors are zero */
        {1, {MIN, 0}, {HALF, 0}, 0, 0},     /* and so are subnormal results */
        {1, {0, 0}, {0, 0}, 0x00000001, 0}, /* and old sums */
        {1, {MIN, 0}, {ONE, 0}, 0, 0x00800000},
        {1, {INF, 0}, {ONE, 0}, 0, 0x7f800000},
        {2, {INF, 0, INF, 0}, {ONE, 0, MINUS, 0}, 0, 0x7fc00000},
        {1, {INF, 0}, {0, 0}, 0, 0x7fc00000},
    };
    for (size_t i = 0; i < ENG_LEN(sums); i++) {
        uint32_t c = sums[i].c;
        bf16_bits(sums[i].pairs, sums[i].a, sums[i].b, &c);
        bool nan = (c & 0x7fffffff) > 0x7f800000;
        CHECK_MSG(nan ? sums[i].want == 0x7fc00000 : c == sums[i].want, "sum %zu is %08x, not %08x",
                  i, c, sums[i].want);
    }
    for (int i = 0; i < 200; i++) { /* 34 roundings of the terms' size */
        uint16_t a[32], b[32];
        float start = test_float(), got;
        double want = (double)start, terms = fabs(want);
        for (int j = 0; j < 32; j++) {
            a[j] = (uint16_t)(eng_f32_bits(test_float()) >> 16);
            b[j] = (uint16_t)(eng_f32_bits(test_float()) >> 16);
            double part = (double)eng_bf16_to_f32(a[j]) * (double)eng_bf16_to_f32(b[j]);
            want += part, terms += fabs(part);
        }
        uint32_t c = eng_f32_bits(start);
        bf16_bits(16, a, b, &c);
        memcpy(&got, &c, sizeof got);
        CHECK_MSG(fabs((double)got - want) <= 34 * 0x1p-24 * terms, "%.9g, not %.9g", (double)got,
                  want);
    }
    CHECK_STR(take_fault(), "");
}

void check_amx_model(void)
{
    if (!eng_cpu_has(ENG_CPU_AVX2)) { /* it is compiled with FMA */
        test_skip("the processor lacks FMA");
        return;
    }
    AmxFault *before = amx_model_fault;
    amx_model_fault = note_fault;
    check_faults();
    check_shapes();
    check_bytes();
    check_bf16();
    amx_model_release();
    amx_model_fault = before;
}
