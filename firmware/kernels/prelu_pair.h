/* PReLU of one value and its slope, of any scales. */
#ifndef HILNAS_PRELU_PAIR_H
#define HILNAS_PRELU_PAIR_H

#include "requantize.h"

static inline int8_t prelu_pair(const void *table, int32_t x, int32_t slope) {
    const prelu_t *prelu = table;
    x -= prelu->zero_point_1;
    slope -= prelu->zero_point_2;
    const int32_t scaled = x >= 0 ? rescale(x, prelu->multiplier, prelu->shift)
                                  : rescale(x * slope, prelu->slope_multiplier, prelu->slope_shift);
    return (int8_t)clamp(add_wrapping(scaled, prelu->zero_point), INT8_MIN, INT8_MAX);
}

#endif
