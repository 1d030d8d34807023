/* Which cores compute, in which order they are taken, and whose memory is near to them. A pure
 * function of a topology, so that machines which nobody here has can be tested.
 *
 * One thread per physical core: the two of one core share its vector units and its buffers for
 * lines on their way from memory, which one thread fills. Fast cores of a hybrid processor come
 * first, and with nothing said its slow ones compute, too: they add little to decode, where a few
 * fast cores already take all that the memory gives, but much to prefill, which multiplies; and
 * because work is dealt out in pieces of some 128 KiB as threads come to fetch them, a slow core
 * holds the others up for one piece at most, some ten microseconds of a phase of a millisecond.
 * Who asks for fewer threads gets the fastest cores, spread over the nodes in proportion to what
 * these have: half the threads still reach the memory of all nodes.
 *
 * Groups of 64, which Windows makes of its CPUs, are no nodes: memory says what a node is. */
#ifndef ENG_PLAN_SEATS_H
#define ENG_PLAN_SEATS_H

#include "base/pool.h"

struct hwloc_topology;
struct hwloc_bitmap_s;

typedef struct {
    int n, n_nodes;
    EngSeat *seats;             /* [n], in the order in which they are taken */
    int numbers[ENG_MAX_NODES]; /* what the system calls node i; -1: any memory will do */
} EngSeats;

/* `threads` 0: one per core of the topology, which has at least one; where cores are hidden each
 * CPU counts as one. More threads than that have no places of their own: the system moves them, and
 * there is one node. The same when `quota` (see quota.h; 0 = no limit) is less than the cores,
 * which with nothing said are then so many: threads bound to a few of them would queue behind the
 * neighbours that chose the same. */
void eng_seats_take(struct hwloc_topology *topology, int threads, double quota,
                    EngSeats *ret_seats);
void eng_seats_clear(EngSeats *seats);

/* As if threads sat on so many nodes, by turns, whose memory is all the same: for tests. */
void eng_seats_pretend(EngSeats *seats, int n_nodes);

/* Leaves only `cpus` in the topology; nothing happens where none of them is in it. */
void eng_seats_limit(struct hwloc_topology *topology, const struct hwloc_bitmap_s *cpus);

/* Cores, and CPUs of these. */
void eng_seats_count(struct hwloc_topology *topology, int *ret_cores, int *ret_cpus);

/* Deals `rows` of a matrix out to nodes, in proportion to their threads: node k has ret_first[k] …
 * ret_first[k + 1] - 1. Boundaries are multiples of at least 16, the most rows that a kernel takes
 * together: roundings do not depend on the nodes. */
void eng_seats_rows(const EngSeats *seats, int64_t rows, int64_t ret_first[ENG_MAX_NODES + 1]);

#endif
