/* The codebooks in the device's memory, made of the same file as the host's: of IQ1 and IQ2 as four
 * bits for each weight, the selectors with which a byte permute picks the weights out of a register
 * of values. They are read through L1, to which a warp's 32 entries of four bytes are half of what
 * eight bytes were; constant memory would give one entry at a time. */
#ifndef ENG_CUDA_KERNELS_QUANT_GRIDS_CUH
#define ENG_CUDA_KERNELS_QUANT_GRIDS_CUH

#include "../common.cuh"

#define ENG_GRID static __device__ constexpr
#include "../../../load/iq_grids.c"
#undef ENG_GRID
#undef A_
#undef B_
#undef C_
#undef D_
#undef FOUR
#undef A
#undef B
#undef C
#undef D

template <int N> struct QuantGrid {
    uint32_t of[N];
};

template <int N>
constexpr QuantGrid<N> quant_grid(const uint64_t (&entries)[N], const int8_t values[3])
{
    QuantGrid<N> grid = {};
    for (int e = 0; e < N; e++)
        for (int i = 0; i < 8; i++)
            for (unsigned v = 0; v < 3; v++)
                if ((int8_t)(entries[e] >> 8 * i & 255) == values[v]) grid.of[e] |= v << 4 * i;
    return grid;
}

/* The values of the grids' entries, as a selector counts them. */
constexpr int8_t quant_values_iq1[3] = {-8, 0, 8};
constexpr int8_t quant_values_iq2[3] = {8, 25, 43};

/* Those as bytes of a register, times a factor and moved by `up`. */
constexpr uint32_t quant_word(const int8_t v[3], int factor, int up)
{
    uint32_t word = 0;
    for (int i = 0; i < 3; i++) word |= (uint32_t)(uint8_t)(v[i] * factor + up) << 8 * i;
    return word;
}
constexpr uint32_t quant_up_iq1 = quant_word(quant_values_iq1, 1, 1);
constexpr uint32_t quant_down_iq1 = quant_word(quant_values_iq1, 1, -1);
constexpr uint32_t quant_plus_iq2 = quant_word(quant_values_iq2, 1, 0);
constexpr uint32_t quant_minus_iq2 = quant_word(quant_values_iq2, -1, 0);

static __device__ constexpr QuantGrid<2048> quant_grid_iq1 =
    quant_grid(eng_grid_iq1, quant_values_iq1);
static __device__ constexpr QuantGrid<256> quant_grid_iq2_xxs =
    quant_grid(eng_grid_iq2_xxs, quant_values_iq2);
static __device__ constexpr QuantGrid<512> quant_grid_iq2_xs =
    quant_grid(eng_grid_iq2_xs, quant_values_iq2);
static __device__ constexpr QuantGrid<1024> quant_grid_iq2_s =
    quant_grid(eng_grid_iq2_s, quant_values_iq2);

#endif
