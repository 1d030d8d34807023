/* Experts that come to the GPU as guests: their weights stay in the host's memory and are copied,
 * group by group, into slots of VRAM, to be multiplied there with a prompt's tokens.
 *
 * There are two slots. A second stream copies into one while kernels read the other; events say
 * when a slot has been read and when it is filled. Nobody waits for the host, so copies run ahead
 * of the kernels by a slot, from one layer into the next. An op's experts come in two rounds, gate
 * and up, then down: what lies between is computed once for all of them, and sums are added once.
 *
 * Copies come from memory that is pinned where it lies, once (eng_guests_pin); where the driver
 * refuses that, through two pieces of memory that it gives, which the host's threads fill. */
#ifndef ENG_CUDA_STREAM_GUESTS_H
#define ENG_CUDA_STREAM_GUESTS_H

#include "cuda/gpu.h"

typedef struct EngGpu EngGpu;

enum { ENG_GUEST_SLOTS = 2, ENG_GUEST_PIECES = 2, ENG_GUEST_PIECE = 16 << 20 };
enum { ENG_GUEST_SAMPLES = 15 }; /* groups whose products are timed */

typedef struct {
    const uint8_t *data;
    size_t bytes;
} EngGuestPin;

typedef struct {
    bool *is; /* [ops] whose experts come so; NULL: none do */
    int most; /* matrices of one at most */
    size_t slot_bytes;

    uint8_t *slots[ENG_GUEST_SLOTS];
    EngCuEvent *begun[ENG_GUEST_SLOTS], *copied[ENG_GUEST_SLOTS], *read[ENG_GUEST_SLOTS];
    size_t bytes[ENG_GUEST_SLOTS]; /* copied into it last */
    unsigned next;                 /* slot, counted on and on */
    struct {
        EngCuEvent *begun, *done;
        double products; /* multiply-adds; 0: it is of no group of this walk */
    } samples[ENG_GUEST_SAMPLES];
    unsigned groups;                     /* of this walk */
    const uint8_t **table, **host_table; /* [3][most] where a matrix lies, when not all are there */

    uint8_t *pieces[ENG_GUEST_PIECES];
    EngCuEvent *sent[ENG_GUEST_PIECES];
    unsigned next_piece;

    EngVec(EngGuestPin) pins; /* by address */
    int pin_at;               /* op and matrix that are pinned next: 3 op + matrix */
    bool refused;
} EngGuests;

/* Finds the ops whose experts can come: those that are not here and whose router is. Of a slot's
 * bytes what one expert needs is the least and what all need the most. Only shapes are looked at.
 */
void eng_guests_find(EngGuests *guests, const EngGraph *graph, const bool *on_device,
                     EngGpuGuests wanted);
void eng_guests_clear(EngGuests *guests);

/* Events and the host's memory; slots and the table are the caller's to place. */
bool eng_guests_open(EngGpu *gpu, EngError *err);

/* matmul_experts with `n` matrices of an op from `first` (of gate, up, down) on, each into its dst.
 * used: [mats] which experts have tokens; NULL = it is not known, all come. Those of one call must
 * be multiplied before `used` of the next is known. */
void eng_guests_multiply(EngGpu *gpu, int op, int first, int n, EngCuMatmulExperts args,
                         float *const *dst, const bool *used);

/* Before a walk; and when it is done: how fast its last copies and its products were, which sets
 * base.copied_gb_s and base.guests_gop_s. */
void eng_guests_begin(EngGpu *gpu);
void eng_guests_time(EngGpu *gpu);

/* EngDevice.pin */
uint64_t eng_guests_pin(EngGpu *gpu);

#endif
