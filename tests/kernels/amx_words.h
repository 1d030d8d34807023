/* The words of engine/cpu/x86/amx/amx.h by the model; goes before the kernels' own files. */
#ifndef AMX_WORDS_H
#define AMX_WORDS_H

#include "amx_model.h"

#define AMX_ISA(name) name##_amx_model
#define amx_configure(config) amx_model_configure(config)
#define amx_release() amx_model_release()
#define amx_zero(tile) amx_model_zero(tile)
#define amx_load(tile, from, stride) amx_model_load(tile, from, stride)
#define amx_store(tile, to, stride) amx_model_store(tile, to, stride)
#define amx_add_ss(sums, a, b) amx_model_add_bytes(sums, a, b, true)
#define amx_add_su(sums, a, b) amx_model_add_bytes(sums, a, b, false)
#define amx_add_bf16(sums, a, b) amx_model_add_bf16(sums, a, b)

#endif
