/* How does an int32 accumulator become an int8? TFLite's double rounding, exactly:
 * RoundingDivideByPOT(SaturatingRoundingDoublingHighMul(x << left, multiplier), right).
 *
 * The high multiplication there rounds half away from zero by a signed nudge and a truncating
 * division; floor((product + 2^30) / 2^31) is the same number for every product, and saturation
 * needs two operands of INT32_MIN, where multipliers are never negative. */
#ifndef HILNAS_REQUANTIZE_H
#define HILNAS_REQUANTIZE_H

#include <stdint.h>

#include "kernels.h"

/* round(a * b / 2^31) for b >= 0 */
static inline int32_t multiply_high(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* round(x / 2^by), halves away from zero; 0 <= by <= 31 */
static inline int32_t shift_right_rounding(int32_t x, int32_t by) {
    const int32_t mask = (int32_t)((1u << by) - 1u);
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> by) + ((x & mask) > threshold);
}

/* shift > 0: to the left, before the multiplication; shift < 0: to the right, after it. */
static inline int32_t rescale(int32_t x, int32_t multiplier, int32_t shift) {
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return shift_right_rounding(multiply_high((int32_t)((uint32_t)x << left), multiplier), right);
}

static inline int32_t clamp(int32_t x, int32_t lowest, int32_t highest) {
    x = x < lowest ? lowest : x;
    return x > highest ? highest : x;
}

/* Sums wrap, as they do in the reference; with sane scales they never come near. */
static inline int32_t add_wrapping(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* The accumulator of channel `channel`, bias included, as int8. */
static inline int8_t requantize(int32_t sum, const requantization_t *out, int32_t channel) {
    const int32_t entry = channel * out->step;
    sum = rescale(sum, out->multiplier[entry], out->shift[entry]);
    return (int8_t)clamp(add_wrapping(sum, out->zero_point), out->min, out->max);
}

/* The same for the first (0) or second (1) filter of a pair, whose rescaling this is. */
static inline int8_t requantize_filter(int32_t sum, const filters_t *filters,
                                       const int32_t *rescaling, int32_t which) {
    const int32_t shift = (int8_t)(rescaling[2] >> (8 * which));
    sum = rescale(sum, rescaling[which], shift);
    return (int8_t)clamp(add_wrapping(sum, filters->zero_point), filters->min, filters->max);
}

#endif
