/* How does an accumulator become an int16? See accumulation_t. */
#ifndef HILNAS_REQUANTIZE_S16_H
#define HILNAS_REQUANTIZE_S16_H

#include "dsp.h"
#include "kernels.h"
#include "requantize.h"

/* Products of int16 and int8 are at most 2^22 in magnitude: so many of them fit an int32. A
 * multiple of four. */
#define PRODUCTS_IN_INT32 508

/* Of one channel, where SUMS_FIT. */
typedef struct {
    int32_t bias, multiplier, min, max;
} fitting_s16_t;

static inline fitting_s16_t fitting_of(const requantization_s16_t *out, int32_t channel) {
    const fitting_s16_t fitting = {out->bias[channel], out->multiplier[channel * out->step],
                                   out->min, out->max};
    return fitting;
}

/* Products alone may leave int32, and come back with the bias. */
static inline int16_t requantize_fitting(int32_t sum, fitting_s16_t out) {
    const int32_t x = smmulr(add_wrapping(sum, out.bias), out.multiplier);
    return (int16_t)clamp(x, out.min, out.max);
}

/* `sum`, without its bias, of channel `channel`. The result leaves int32 only where the model's
 * scales contradict its values; it wraps then, as the reference's does. */
static inline int16_t requantize_s16(int64_t sum, const requantization_s16_t *out,
                                     int32_t channel) {
    if (out->sums == SUMS_FIT) {
        return requantize_fitting((int32_t)sum, fitting_of(out, channel));
    }
    const int32_t entry = channel * out->step;
    const int32_t multiplier = out->multiplier[entry];
    int32_t x;
    if (out->sums == SUMS_WIDE) {
        const int32_t shift = out->shift[entry];
        x = (int32_t)(((sum + out->wide_bias[channel]) * multiplier + (1ll << (shift - 1))) >>
                      shift);
    } else {
        x = rescale(add_wrapping((int32_t)sum, out->bias[channel]), multiplier, out->shift[entry]);
    }
    return (int16_t)clamp(x, out->min, out->max);
}

#endif
