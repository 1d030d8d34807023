/* Kernels from outside: what a shared library has to export so that a rule of Hearth's can choose
 * its kernels. This header stands alone; a plug-in needs nothing else of Hearth, in C or in any
 * language that can export C functions.
 *
 *     #include "hearth_plugin.h"
 *
 *     static void q8_0(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
 *                      const void *x, size_t x_stride, float *y, size_t y_stride) { … }
 *
 *     HEARTH_PLUGIN(host)
 *     {
 *         host->add_kernel(host, &(HearthKernel){.size = sizeof(HearthKernel),
 *                                                .name = "mine.q8_0",
 *                                                .type = 8,
 *                                                .activation = HEARTH_ACTIVATION_F32,
 *                                                .matmul = q8_0});
 *     }
 *
 *     cc -O3 -shared -fPIC -I engine/include mine.c -o mine.so
 *
 * A rules file (hearth-cli --rules) that uses it, the line of the plug-in first:
 *
 *     plugin=./mine.so
 *     ffn_down kernel=mine.q8_0
 *
 * Trust. Loading a plug-in runs its code with all the rights of the program. Hearth loads one only
 * where a line of rules that a person gave names its file: no model file, no conversation and
 * no server's request can. The name is absolute or relative to the current folder; system folders
 * are never searched.
 *
 * Life. A plug-in is loaded when a model is opened with such rules, or planned with them, and
 * registers anew for each model. It stays loaded until the last model that named it is closed.
 *
 * Stability. All that is here keeps its meaning and its layout as long as HEARTH_PLUGIN_VERSION
 * stays what it is; structures may only grow at their ends, and `size` tells how far they go. */
#ifndef HEARTH_PLUGIN_H
#define HEARTH_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HEARTH_PLUGIN_VERSION 1u

/* The form in which a kernel takes activations. A form's block must divide the weights' block: Q8_K
 * is for formats of 256 numbers, Q8_0 for those of 32 and 256, F32 for all. Hearth makes the form
 * once for each op, whatever the number of rows. A number that is not finite comes as NaN in the
 * `d` of its block, and must come out as one that is not finite. */
#define HEARTH_ACTIVATION_F32 0u  /* float, as they are */
#define HEARTH_ACTIVATION_Q8_0 1u /* HearthBlockQ8_0 */
#define HEARTH_ACTIVATION_Q8_K 2u /* HearthBlockQ8_K */

/* Blocks of activations: value i is d * q[i], -127 <= q <= 127. */
typedef struct {
    float d;
    int32_t sum; /* of q */
    int8_t q[32];
} HearthBlockQ8_0;

typedef struct {
    float d;
    int8_t q[256];
    int16_t sums[16]; /* of q[16 i] … q[16 i + 15] */
} HearthBlockQ8_K;

/* y[t * y_stride + r] = sum over i of w(r, i) * x(t, i), for r < n_rows, t < n_tokens, i < n.
 *
 * w: rows of a matrix, w_stride bytes from one to the next, in blocks laid out as in a GGUF file
 * (ggml's block_q8_0, block_q4_K, …). A row may be a part of the matrix's: n is then less than its
 * columns, always a multiple of the format's block. Aligned to 2 bytes at least, F32 to 4, formats
 * without halves (MXFP4) to 1. x: activations, one row for each token, x_stride bytes apart (0 when
 * tokens share one), aligned to 4. y: y_stride floats from token to token; what is there before is
 * no number to rely on, and what lies between the rows is not to be written.
 *
 * n_rows and n_tokens are any numbers from 1: one token while an answer is written, up to 256 of a
 * prompt. Threads call it at the same time, with different rows of one matrix or with different
 * matrices, and deal the rows out anew each time: with one token, a row's result must not depend on
 * the rows beside it by a single bit; with more, not beyond the order in which floats are added.
 * It must not allocate, lock, wait, raise, start threads or leave the floating-point state changed;
 * it cannot fail. */
typedef void HearthMatmul(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride,
                          const void *x, size_t x_stride, float *y, size_t y_stride);

typedef struct {
    uint32_t size;       /* sizeof(HearthKernel) */
    uint32_t type;       /* format of the weights, by ggml's number: 8 = Q8_0, 12 = Q4_K */
    uint32_t activation; /* HEARTH_ACTIVATION_… */
    const char *name;    /* as rules call it: 1 to 63 characters from ! to ~. Copied. */
    HearthMatmul *matmul;
} HearthKernel;

typedef struct HearthPluginHost HearthPluginHost;
struct HearthPluginHost {
    uint32_t size;    /* of this structure */
    uint32_t version; /* HEARTH_PLUGIN_VERSION of the program that loads */
    /* Instruction sets that may be used here, between spaces: "c avx2 avx512 vnni". A kernel that
     * needs others is not to be registered. Valid during the call. */
    const char *isa;
    /* False when the kernel is refused (its name is taken, its format unknown, …). The model is
     * then not opened, and the person is told why: there is nothing for the plug-in to do. */
    bool (*add_kernel)(const HearthPluginHost *host, const HearthKernel *kernel);
};

#if defined(_WIN32)
#define HEARTH_PLUGIN_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define HEARTH_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define HEARTH_PLUGIN_EXPORT
#endif

/* What a plug-in exports. The version is asked for first; where it is another than the program's,
 * the second is not called. `host` is valid during the call, which one thread makes. */
HEARTH_PLUGIN_EXPORT uint32_t hearth_plugin_version(void);
HEARTH_PLUGIN_EXPORT void hearth_plugin_register(const HearthPluginHost *host);

/* Both, once in a plug-in; the body of the second follows. */
#define HEARTH_PLUGIN(host)                                                                        \
    uint32_t hearth_plugin_version(void) { return HEARTH_PLUGIN_VERSION; }                         \
    void hearth_plugin_register(const HearthPluginHost *host)

#ifdef __cplusplus
}
#endif

#endif
