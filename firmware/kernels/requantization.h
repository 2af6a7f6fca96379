/* What turns accumulators into int8. */
#ifndef HILNAS_REQUANTIZATION_H
#define HILNAS_REQUANTIZATION_H

#include <stdint.h>

/* Accumulator of channel c -> int8: clamp(rescale(acc, multiplier[c * step], shift[c * step]) +
 * zero_point, min, max). step is 1 for per-channel tables and 0 for a single entry. simple is 1
 * where every shift lies in -22 to -1, no accumulator can reach 2^30 and the clamp is int8's range;
 * clamped is 1 where it is another and the rest holds. */
typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t step;
    int32_t simple, clamped;
    int32_t zero_point;
    int32_t min;
    int32_t max;
} requantization_t;

#endif
