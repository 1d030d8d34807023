/* The tile instructions of AMX as Intel's Software Developer's Manual writes them down (volume 2:
 * LDTILECFG, TILELOADD, TILESTORED, TILEZERO, TILERELEASE, TDPBSSD, TDPBSUD, TDPBF16PS; palette 1),
 * one state per thread. What would be a fault calls the handler, which by default aborts: a kernel
 * that the model runs to its end does not fault on a processor either. */
#ifndef AMX_MODEL_H
#define AMX_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void amx_model_configure(const void *config); /* 64 bytes */
void amx_model_release(void);
void amx_model_zero(int tile);
void amx_model_load(int tile, const void *from, size_t stride);
void amx_model_store(int tile, void *to, size_t stride);
void amx_model_add_bytes(int sums, int a, int b, bool b_signed); /* a signed */
void amx_model_add_bf16(int sums, int a, int b);

/* Called with the instruction and why; may not return. */
typedef void AmxFault(const char *instruction, const char *why);
extern AmxFault *amx_model_fault;

/* For the test of the model itself: 16 rows of 64 bytes. */
const uint8_t *amx_model_bytes(int tile);
bool amx_model_configured(void);

#endif
