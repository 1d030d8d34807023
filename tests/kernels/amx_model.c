#include "amx_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 }; /* palette 1 */

typedef struct {
    int rows, row_bytes; /* 0: not valid */
    uint8_t bytes[ROWS][ROW_BYTES];
} ModelTile;

static _Thread_local struct {
    bool configured;
    int start_row;
    ModelTile tile[TILES];
} model;

static void abort_on(const char *instruction, const char *why)
{
    fprintf(stderr, "%s faults: %s\n", instruction, why);
    abort();
}

AmxFault *amx_model_fault = abort_on;

const uint8_t *amx_model_bytes(int tile) { return model.tile[tile].bytes[0]; }
bool amx_model_configured(void) { return model.configured; }

static bool nonzero(const uint8_t *p, int from, int end)
{
    for (int i = from; i < end; i++)
        if (p[i]) return true;
    return false;
}

/* Reads what LDTILECFG does; returns why it faults, or NULL. */
static const char *read_config(const uint8_t *p, ModelTile tile[TILES])
{
    if (p[0] > 1) return "no such palette";
    if (p[0] == 0) return NULL;
    if (nonzero(p, 2, 16) || nonzero(p, 16 + 2 * TILES, 48) || nonzero(p, 48 + TILES, 64))
        return "reserved bytes are not zero";
    for (int i = 0; i < TILES; i++) {
        tile[i].row_bytes = p[16 + 2 * i] | p[17 + 2 * i] << 8;
        tile[i].rows = p[48 + i];
        if (tile[i].row_bytes > ROW_BYTES || tile[i].rows > ROWS) return "a tile is too large";
        if (!tile[i].rows != !tile[i].row_bytes) return "a tile has rows or columns, not both";
    }
    return NULL;
}

void amx_model_configure(const void *config)
{
    const uint8_t *p = config;
    ModelTile tile[TILES];
    memset(tile, 0, sizeof tile);
    const char *why = read_config(p, tile);
    if (why) {
        amx_model_fault("LDTILECFG", why);
        return;
    }
    amx_model_release();
    if (p[0] == 0) return;
    memcpy(model.tile, tile, sizeof model.tile);
    model.configured = true;
    model.start_row = p[1];
}

void amx_model_release(void) { memset(&model, 0, sizeof model); }

static bool usable(const char *instruction, int tile)
{
    const char *why = !model.configured            ? "tiles are not configured"
                      : tile < 0 || tile >= TILES  ? "no such tile"
                      : model.tile[tile].rows == 0 ? "the tile is not configured"
                                                   : NULL;
    if (why) amx_model_fault(instruction, why);
    return !why;
}

/* Rows and columns beyond a tile's shape become zero. */
static void write_row(ModelTile *tile, int row, const void *bytes)
{
    memset(tile->bytes[row], 0, ROW_BYTES);
    memcpy(tile->bytes[row], bytes, (size_t)tile->row_bytes);
}

static void end_writing(ModelTile *tile)
{
    memset(tile->bytes[tile->rows], 0, (size_t)(ROWS - tile->rows) * ROW_BYTES);
    model.start_row = 0;
}

void amx_model_zero(int tile)
{
    if (!usable("TILEZERO", tile)) return;
    memset(model.tile[tile].bytes, 0, sizeof model.tile[tile].bytes);
    model.start_row = 0;
}

void amx_model_load(int tile, const void *from, size_t stride)
{
    if (!usable("TILELOADD", tile)) return;
    ModelTile *t = &model.tile[tile];
    for (int row = model.start_row; row < t->rows; row++)
        write_row(t, row, (const uint8_t *)from + (size_t)row * stride);
    end_writing(t);
}

void amx_model_store(int tile, void *to, size_t stride)
{
    if (!usable("TILESTORED", tile)) return;
    const ModelTile *t = &model.tile[tile];
    for (int row = model.start_row; row < t->rows; row++)
        memcpy((uint8_t *)to + (size_t)row * stride, t->bytes[row], (size_t)t->row_bytes);
    model.start_row = 0;
}

static bool fits(const char *instruction, int sums, int a, int b)
{
    if (!usable(instruction, sums) || !usable(instruction, a) || !usable(instruction, b))
        return false;
    const ModelTile *c = &model.tile[sums], *x = &model.tile[a], *y = &model.tile[b];
    const char *why = sums == a || sums == b || a == b ? "a tile is used twice"
                      : c->row_bytes % 4 || x->row_bytes % 4 || y->row_bytes % 4
                          ? "columns are not words"
                      : c->rows != x->rows || c->row_bytes != y->row_bytes ? "shapes do not fit"
                      : x->row_bytes / 4 != y->rows                        ? "shapes do not fit"
                                                                           : NULL;
    if (why) amx_model_fault(instruction, why);
    return !why;
}

/* Sums alone, with no memory but the model's own, would take ten times longer so. */
#define NO_SANITIZER __attribute__((no_sanitize("address", "undefined", "thread")))

NO_SANITIZER static void multiply_bytes(uint32_t sum[ROW_BYTES / 4], int words, const uint8_t *x,
                                        const ModelTile *y, bool y_signed)
{
    for (int k = 0; k < words; k++)
        for (int n = 0; n < y->row_bytes / 4; n++)
            for (int i = 0; i < 4; i++) {
                uint8_t byte = y->bytes[k][4 * n + i];
                int factor = y_signed ? (int8_t)byte : byte;
                sum[n] += (uint32_t)((int8_t)x[4 * k + i] * factor);
            }
}

void amx_model_add_bytes(int sums, int a, int b, bool b_signed)
{
    if (!fits(b_signed ? "TDPBSSD" : "TDPBSUD", sums, a, b)) return;
    ModelTile *c = &model.tile[sums];
    const ModelTile *x = &model.tile[a], *y = &model.tile[b];
    for (int row = 0; row < c->rows; row++) {
        uint32_t sum[ROW_BYTES / 4]; /* wraps */
        memcpy(sum, c->bytes[row], sizeof sum);
        multiply_bytes(sum, x->row_bytes / 4, x->bytes[row], y, b_signed);
        write_row(c, row, sum);
    }
    end_writing(c);
}

/* Subnormal numbers are zero, read or written; the sign stays. */
NO_SANITIZER static float flushed(float f)
{
    return f < 0x1p-126f && f > -0x1p-126f ? __builtin_copysignf(0, f) : f;
}

NO_SANITIZER static float of_bf16(const uint8_t *p)
{
    uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    float f;
    __builtin_memcpy(&f, &bits, sizeof f);
    return flushed(f);
}

/* Even and odd numbers apart. */
NO_SANITIZER static void multiply_bf16(float half[ROW_BYTES / 4][2], int words, const uint8_t *x,
                                       const ModelTile *y)
{
    for (int k = 0; k < words; k++)
        for (int n = 0; n < y->row_bytes / 4; n++)
            for (int i = 0; i < 2; i++) {
                float factor = of_bf16(y->bytes[k] + 4 * n + 2 * i);
                half[n][i] =
                    flushed(__builtin_fmaf(of_bf16(x + 4 * k + 2 * i), factor, half[n][i]));
            }
}

void amx_model_add_bf16(int sums, int a, int b)
{
    if (!fits("TDPBF16PS", sums, a, b)) return;
    ModelTile *c = &model.tile[sums];
    const ModelTile *x = &model.tile[a], *y = &model.tile[b];
    for (int row = 0; row < c->rows; row++) {
        float half[ROW_BYTES / 4][2] = {{0}}, sum[ROW_BYTES / 4];
        memcpy(sum, c->bytes[row], sizeof sum);
        multiply_bf16(half, x->row_bytes / 4, x->bytes[row], y);
        for (int n = 0; n < c->row_bytes / 4; n++)
            sum[n] = flushed(flushed(sum[n]) + flushed(half[n][0] + half[n][1]));
        write_row(c, row, sum);
    }
    end_writing(c);
}
