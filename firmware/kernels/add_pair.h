/* The sum or difference of two values of any scales: both are brought to twice the larger scale
 * with 20 more bits, added, and brought to the output's. */
#ifndef HILNAS_ADD_PAIR_H
#define HILNAS_ADD_PAIR_H

#include "requantize.h"

#define LEFT_SHIFT 20

static inline int8_t add_pair(const void *table, int32_t a, int32_t b) {
    const add_t *add = table;
    a = (a - add->zero_point_1) * (1 << LEFT_SHIFT);
    b = (b - add->zero_point_2) * (1 << LEFT_SHIFT);
    const int32_t sum = rescale(a, add->multiplier_1, add->shift_1) +
                        add->sign * rescale(b, add->multiplier_2, add->shift_2);
    const int32_t scaled = rescale(sum, add->multiplier, add->shift);
    return (int8_t)clamp(add_wrapping(scaled, add->zero_point), INT8_MIN, INT8_MAX);
}

#endif
