/* What the tests of small kernels and attention share: device memory with a copy on the host, and
 * views of random shape. */
#ifndef TESTS_GPU_ELEM_INPUTS_H
#define TESTS_GPU_ELEM_INPUTS_H

#include <math.h>

#include "on_gpu.h"

/* A buffer on both sides, as long as its last view's last number, and a view of it at a random
 * column: what lies between groups and rows is there to be left alone. */
typedef struct {
    float *host, *old; /* old: as written to the device */
    size_t count, at;
    EngCuView view; /* data on the device */
    void *memory;
} Buffer;

static UNUSED size_t buffer_index(const Buffer *b, int row, int head, int i)
{
    return b->at + (size_t)row * (size_t)b->view.row + (size_t)head * (size_t)b->view.stride +
           (size_t)i;
}

static UNUSED Buffer buffer_new(int rows, int heads, int n, float size)
{
    Buffer b = {.at = (size_t)test_range(0, 5)};
    int stride = n + test_range(0, 1) * test_range(0, 9);
    int row = heads * stride + test_range(0, 1) * test_range(0, 9);
    b.view = (EngCuView){NULL, row, heads, n, stride};
    b.count = buffer_index(&b, rows - 1, heads - 1, n - 1) + 1;
    b.host = malloc(b.count * sizeof *b.host), b.old = malloc(b.count * sizeof *b.old);
    for (size_t i = 0; i < b.count; i++) b.host[i] = test_float() * size;
    memcpy(b.old, b.host, b.count * sizeof *b.host);
    b.memory = device(b.count * sizeof *b.host, b.host);
    b.view.data = (float *)b.memory + b.at;
    return b;
}

/* After changes of `host`. */
static UNUSED void buffer_write(Buffer *b)
{
    EngError err = {0};
    memcpy(b->old, b->host, b->count * sizeof *b->host);
    CHECK(eng_cuda_write(gpu, b->memory, b->host, b->count * sizeof *b->host, &err));
}

static UNUSED void buffer_read(Buffer *b) { fetch(b->host, b->memory, b->count * sizeof *b->host); }

/* Nothing outside the view's numbers has changed. */
static UNUSED void check_rest(const Buffer *b, int rows)
{
    bool *inside = calloc(b->count, 1);
    for (int t = 0; t < rows; t++)
        for (int h = 0; h < b->view.heads; h++)
            for (int i = 0; i < b->view.n; i++) inside[buffer_index(b, t, h, i)] = true;
    for (size_t i = 0; i < b->count; i++)
        CHECK_MSG(inside[i] || memcmp(b->host + i, b->old + i, sizeof *b->host) == 0,
                  "number %zu outside the view was written", i);
    free(inside);
}

static UNUSED void buffer_free(Buffer *b) { free(b->host), free(b->old); }

#endif
