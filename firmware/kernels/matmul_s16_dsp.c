/* Matrix product of int16 columns and int8 filters with SMLAD, four columns and two filters at a
 * time: a word of weights becomes two pairs, which meet a pair of each column. */
#include "kernels.h"
#include "requantize_s16.h"

#if KERNELS_DSP

/* Sums of two filters with `group` columns, 1 or 4, a constant where this is inlined: sums[p] of
 * the first filter, sums[group + p] of the second. They wrap. */
static inline __attribute__((always_inline)) void multiply(const int16_t *x, const int32_t group,
                                                           const int8_t *weights, int32_t depth,
                                                           int32_t *sums) {
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
    const int8_t *const end = weights + 2 * depth;
    do {
        const uint32_t x0 = load_halves(x), word = load_word(weights);
        const uint32_t a = sxtb16(word), b = sxtb16_odd(word);
        a0 = smlad(x0, a, a0);
        b0 = smlad(x0, b, b0);
        if (group == 4) {
            const uint32_t x1 = load_halves(x + 2);
            a1 = smlad(x1, a, a1);
            b1 = smlad(x1, b, b1);
            const uint32_t x2 = load_halves(x + 4);
            a2 = smlad(x2, a, a2);
            b2 = smlad(x2, b, b2);
            const uint32_t x3 = load_halves(x + 6);
            a3 = smlad(x3, a, a3);
            b3 = smlad(x3, b, b3);
        }
        weights += 4;
        x += 2 * group;
    } while (weights < end);
    sums[0] = a0;
    sums[group] = b0;
    if (group == 4) {
        sums[1] = a1;
        sums[2] = a2;
        sums[3] = a3;
        sums[5] = b1;
        sums[6] = b2;
        sums[7] = b3;
    }
}

/* Both filters of a pair from `channel` on; `count` of them are there. */
static inline __attribute__((always_inline)) void
fitting(const filters_s16_t *filters, const int16_t *columns, const int32_t group, int32_t pixels,
        const int8_t *weights, int32_t channel, int16_t *output) {
    int32_t sums[8];
    multiply(columns, group, weights, filters->depth, sums);
    const int32_t channels = filters->channels;
    const int32_t count = channel + 1 < channels ? 2 : 1;
    for (int32_t f = 0; f < count; f++) {
        const fitting_s16_t out = fitting_of(&filters->out, channel + f);
        int16_t *to = output + f;
#pragma GCC unroll 1
        for (int32_t p = 0; p < pixels; p++) {
            *to = requantize_fitting(sums[f * group + p], out);
            to += channels;
        }
    }
}

/* The same where sums need 64 bits: they are made of parts that fit 32. */
static __attribute__((noinline)) void any(const filters_s16_t *filters, const int16_t *columns,
                                          int32_t group, int32_t pixels, const int8_t *weights,
                                          int32_t channel, int16_t *output) {
    int64_t totals[8] = {0};
    int32_t sums[8];
    for (int32_t depth = filters->depth; depth > 0; depth -= PRODUCTS_IN_INT32) {
        const int32_t part = depth < PRODUCTS_IN_INT32 ? depth : PRODUCTS_IN_INT32;
        if (group == 4) {
            multiply(columns, 4, weights, part, sums);
        } else {
            multiply(columns, 1, weights, part, sums);
        }
        for (int32_t i = 0; i < 2 * group; i++) {
            totals[i] += sums[i];
        }
        columns += group * part;
        weights += 2 * part;
    }
    for (int32_t p = 0; p < pixels; p++) {
        int16_t *const to = output + p * filters->channels;
        to[0] = requantize_s16(totals[p], &filters->out, channel);
        if (channel + 1 < filters->channels) {
            to[1] = requantize_s16(totals[group + p], &filters->out, channel + 1);
        }
    }
}

void matmul_s16(const filters_s16_t *filters, const int16_t *columns, int32_t group, int32_t pixels,
                int16_t *output) {
    const int8_t *weights = filters->weights;
    for (int32_t c = 0; c < filters->channels; c += 2) {
        if (filters->out.sums != SUMS_FIT) {
            any(filters, columns, group, pixels, weights, c, output + c);
        } else if (group == 4) {
            fitting(filters, columns, 4, pixels, weights, c, output + c);
        } else {
            fitting(filters, columns, 1, 1, weights, c, output + c);
        }
        weights += 2 * filters->depth;
    }
}

#endif
