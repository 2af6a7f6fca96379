/* The common case of requantize() in five instructions.
 *
 * With t = round(sum * multiplier / 2^31) and a right shift r >= 1, rounding half away from zero is
 * floor((t + (t >> 31) + 2^(r-1)) / 2^r), where zero_point * 2^r can be added before the division.
 * The sign may be the sum's: it differs from t's only for a negative sum and t = 0, and then both
 * give zero_point. t itself is the rounded upper word of 2 * sum * multiplier, to which SMMLAR adds
 * the rest on its way, as long as 2 * sum is an int32. */
#ifndef HILNAS_REQUANTIZE_DSP_H
#define HILNAS_REQUANTIZE_DSP_H

#include "dsp.h"
#include "kernels.h"
#include "requantize.h"

/* Beyond, zero_point * 2^r could leave int32. */
#define SIMPLE_MOST_SHIFT 22

typedef struct {
    int32_t multiplier, shift, offset;
} simple_t;

/* 1 <= right <= SIMPLE_MOST_SHIFT */
static inline simple_t make_simple(int32_t multiplier, int32_t right, int32_t zero_point) {
    const simple_t simple = {multiplier, right, (1 << right >> 1) + zero_point * (1 << right)};
    return simple;
}

/* Only where out->simple or out->clamped. */
static inline simple_t simple_of(const requantization_t *out, int32_t channel) {
    const int32_t entry = channel * out->step;
    return make_simple(out->multiplier[entry], -out->shift[entry], out->zero_point);
}

/* The same for the first (0) or second (1) filter of a pair, whose rescaling this is. */
static inline simple_t simple_of_filter(const int32_t *rescaling, int32_t which,
                                        int32_t zero_point) {
    return make_simple(rescaling[which], -(int8_t)(rescaling[2] >> (8 * which)), zero_point);
}

/* Of twice the sum. */
static inline int8_t requantize_doubled(int32_t twice, simple_t simple) {
    return (int8_t)ssat8(smmlar(twice, simple.multiplier, simple.offset + (twice >> 31)) >>
                         simple.shift);
}

/* |sum| < 2^30 */
static inline int8_t requantize_simple(int32_t sum, simple_t simple) {
    return requantize_doubled(sum * 2, simple);
}

#endif
