/* The common case of requantize() in six instructions.
 *
 * With t = round(sum * multiplier / 2^31) and a right shift r >= 1, rounding half away from zero is
 * floor((t + (t >> 31) + 2^(r-1)) / 2^r) = floor((floor((t + (t >> 31)) / 2^(r-1)) + 1) / 2), where
 * 2 * zero_point can be added before the last halving, which SSAT does on its way. t itself is the
 * rounded upper word of 2 * sum * multiplier, as long as 2 * sum is an int32. */
#ifndef HILNAS_REQUANTIZE_DSP_H
#define HILNAS_REQUANTIZE_DSP_H

#include "dsp.h"
#include "kernels.h"
#include "requantize.h"

typedef struct {
    int32_t multiplier, shift, offset;
} simple_t;

/* Only where out->simple. */
static inline simple_t simple_of(const requantization_t *out, int32_t channel) {
    const int32_t entry = channel * out->step;
    const simple_t simple = {out->multiplier[entry], -1 - out->shift[entry],
                             1 + 2 * out->zero_point};
    return simple;
}

static inline int8_t requantize_simple(int32_t sum, simple_t simple) {
    int32_t x = smmulr(sum * 2, simple.multiplier);
    x += x >> 31;
    return (int8_t)ssat8_half((x >> simple.shift) + simple.offset);
}

#endif
