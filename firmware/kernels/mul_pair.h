/* The product of two values of any scales. */
#ifndef HILNAS_MUL_PAIR_H
#define HILNAS_MUL_PAIR_H

#include "requantize.h"

static inline int8_t mul_pair(const void *table, int32_t a, int32_t b) {
    const mul_t *mul = table;
    const int32_t product = (a - mul->zero_point_1) * (b - mul->zero_point_2);
    const int32_t scaled = rescale(product, mul->multiplier, mul->shift);
    return (int8_t)clamp(add_wrapping(scaled, mul->zero_point), INT8_MIN, INT8_MAX);
}

#endif
