/* A model's matrices in memory that is near to whoever reads them.
 *
 * Every matrix's rows are dealt out to the NUMA nodes (seats.h), and a thread takes the rows of its
 * own node first. So the experts' intermediate dimension is split between nodes in gate and up,
 * whose rows it is; their products meet, as bytes, at the barrier where they are quantized anyway;
 * and down is split by its own rows, each of which sums over all of that dimension. The other way,
 * down split by columns, saves this barrier but must then add up, for each token and layer, a
 * hidden vector of floats from every node (R1: 28 KiB each, against 16 KiB of bytes for all eight
 * experts), divides 768 columns of three blocks badly among two nodes and not at all among four,
 * cuts rows so short that a kernel's beginning and end weigh more than its middle, and gives other
 * roundings for each number of nodes. Split by rows, no sum goes across nodes: results are those of
 * one node. It holds for attention's and dense matrices and the head just as well.
 *
 * With one node the file stays mapped and nothing is copied, unless asked for. With more, a page of
 * the file lies wherever it was first read, so matrices are copied: one block of memory per node,
 * in huge pages, node by node the rows of all matrices one behind the other. A thread reads whole
 * huge pages from the file, a node's threads those of their node first, and what was read is let go
 * of at once, in the mapped file and the system's cache of it: there is never a second copy, and
 * the pages given back are those that the next rows come to lie in, while they are in the CPU's
 * caches. The token table, of which a token needs one row, stays in the file; norms and biases are
 * small.
 *
 * Rows stay as they are in the file: no layout interleaves those of several. In decode the row
 * kernels read 84 % and more of what memory gives without one at Q2_K and above, 68 to 75 % at IQ1_S
 * and IQ2_XXS (tests/bench/results.md), and what prefill unpacks it unpacks once for a whole chunk.
 * An interleaved file could not be mapped. What one would gain has not been measured.
 */
#ifndef ENG_PLAN_PLACE_H
#define ENG_PLAN_PLACE_H

#include "load/gguf.h"
#include "model/graph.h"
#include "plan/seats.h"

typedef struct EngPlacement EngPlacement;

/* Deals out the rows of all matrices of `graph`; with `copy` also gets memory for them, but for
 * those of ops with device_of[op] >= 0 alone (NULL = none). Both must outlive it, and nobody may
 * compute with the graph meanwhile. ENG_ERR_MEMORY names the bytes. */
EngPlacement *eng_placement_new(EngGraph *graph, const EngSeats *seats, bool copy,
                                const int *device_of, EngError *err);
void eng_placement_free(EngPlacement *placement);

/* Copies about the next `n` bytes with all threads; nobody may compute meanwhile. A matrix is read
 * from its new place as soon as all of it is there. `gguf`: whose mapped files are let go. */
void eng_placement_fill(EngPlacement *placement, uint64_t n, EngPool *pool, const EngGguf *gguf);

/* Bytes to copy, and how many of them are; 0 when nothing is copied. */
uint64_t eng_placement_bytes(const EngPlacement *placement, uint64_t *ret_filled);

#endif
