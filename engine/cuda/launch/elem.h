/* Launches of the kernels that do little work per number, of routing and of the hand-over to the
 * host: grids from shapes. Nothing waits; args.h says what each does. */
#ifndef ENG_CUDA_LAUNCH_ELEM_H
#define ENG_CUDA_LAUNCH_ELEM_H

#include "cuda/device.h"

void eng_cuda_norm(EngCuda *cuda, const EngCuElem *args);
void eng_cuda_turn(EngCuda *cuda, const EngCuTurn *args);
void eng_cuda_glu(EngCuda *cuda, const EngCuElem *args);
void eng_cuda_add(EngCuda *cuda, const EngCuElem *args);
void eng_cuda_rope(EngCuda *cuda, const EngCuElem *args);
void eng_cuda_select(EngCuda *cuda, const EngCuElem *args); /* in place: out ascending */
void eng_cuda_topk(EngCuda *cuda, const EngCuTopk *args);
void eng_cuda_route(EngCuda *cuda, const EngCuRoute *args);
void eng_cuda_moe_group(EngCuda *cuda, const EngCuMoe *args);
void eng_cuda_moe_combine(EngCuda *cuda, const EngCuMoe *args);
void eng_cuda_publish(EngCuda *cuda, const EngCuHand *args);
void eng_cuda_accept(EngCuda *cuda, const EngCuHand *args);
void eng_cuda_bench_copy(EngCuda *cuda, const EngCuBench *args);

#endif
