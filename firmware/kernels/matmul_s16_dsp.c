/* Matrix product of int16 columns and int8 filters with SMLAD, two columns and two filters at a
 * time: 8 multiplications of pairs for 6 loads and 4 SXTB16. */
#include "kernels.h"
#include "requantize_s16.h"

#if KERNELS_DSP

/* Dot products of `pixels` columns (1 or 2, `depth` apart) and `filters` filters (1 or 2, in
 * pairs). Both counts are constants where this is inlined. Sums of PRODUCTS_IN_INT32 products are
 * made in 32 bits, which SMLALD's pairs of registers would leave no room for. */
static inline __attribute__((always_inline)) void
multiply(const int16_t *columns, const int32_t pixels, int32_t depth, const int8_t *weights,
         const int32_t filters, int64_t sums[2][2]) {
    const int16_t *x = columns;
    const int16_t *const end = columns + depth;
    sums[0][0] = sums[0][1] = sums[1][0] = sums[1][1] = 0;
    while (x < end) {
        const int16_t *const stop = end - x > PRODUCTS_IN_INT32 ? x + PRODUCTS_IN_INT32 : end;
        const int16_t *y = x + depth;
        int32_t xa = 0, xb = 0, ya = 0, yb = 0;
        while (x < stop) {
            const uint32_t a = load_word(weights);
            const uint32_t a01 = sxtb16(a), a23 = sxtb16_odd(a);
            const uint32_t x01 = load_halves(x), x23 = load_halves(x + 2);
            xa = smlad(x01, a01, xa);
            xa = smlad(x23, a23, xa);
            if (filters == 2) {
                const uint32_t b = load_word(weights + 4);
                const uint32_t b01 = sxtb16(b), b23 = sxtb16_odd(b);
                xb = smlad(x01, b01, xb);
                xb = smlad(x23, b23, xb);
                if (pixels == 2) {
                    const uint32_t y01 = load_halves(y), y23 = load_halves(y + 2);
                    ya = smlad(y01, a01, ya);
                    ya = smlad(y23, a23, ya);
                    yb = smlad(y01, b01, yb);
                    yb = smlad(y23, b23, yb);
                }
            } else if (pixels == 2) {
                ya = smlad(load_halves(y), a01, ya);
                ya = smlad(load_halves(y + 2), a23, ya);
            }
            x += 4;
            y += 4;
            weights += 4 * filters;
        }
        sums[0][0] += xa;
        sums[0][1] += xb;
        sums[1][0] += ya;
        sums[1][1] += yb;
    }
}

static inline __attribute__((always_inline)) void
multiply_all(const int16_t *columns, const int32_t pixels, int32_t depth, const int8_t *weights,
             int32_t channels, const requantization_s16_t *out, int16_t *output) {
    int64_t sums[2][2];
    int32_t c = 0;
    for (; c + 2 <= channels; c += 2) {
        multiply(columns, pixels, depth, weights, 2, sums);
        for (int32_t p = 0; p < pixels; p++) {
            output[p * channels + c] = requantize_s16(sums[p][0], out, c);
            output[p * channels + c + 1] = requantize_s16(sums[p][1], out, c + 1);
        }
        weights += 2 * depth;
    }
    if (c < channels) {
        multiply(columns, pixels, depth, weights, 1, sums);
        for (int32_t p = 0; p < pixels; p++) {
            output[p * channels + c] = requantize_s16(sums[p][0], out, c);
        }
    }
}

void matmul_s16(const int16_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
                int32_t channels, const requantization_s16_t *out, int16_t *output) {
    for (; pixels >= 2; pixels -= 2) {
        multiply_all(columns, 2, depth, weights, channels, out, output);
        columns += 2 * depth;
        output += 2 * channels;
    }
    if (pixels > 0) {
        multiply_all(columns, 1, depth, weights, channels, out, output);
    }
}

#endif
