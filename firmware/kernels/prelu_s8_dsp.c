/* PReLU with the multiplications of requantize_dsp.h. What is not negative may be shifted left
 * before, as there is no rounding behind that a sign could change. */
#include "pairing.h"
#include "prelu_pair.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

#define MOST_LEFT 20 /* 255 * 2^20 < 2^30 */

typedef struct {
    int32_t zero_point_1, zero_point_2;
    int32_t left;
    simple_t identity, slope;
} slopes_t;

static inline int8_t simple_pair(const void *table, int32_t x, int32_t slope) {
    const slopes_t *prelu = table;
    x -= prelu->zero_point_1;
    return x >= 0 ? requantize_simple(x << prelu->left, prelu->identity)
                  : requantize_simple(x * (slope - prelu->zero_point_2), prelu->slope);
}

void prelu_s8(const prelu_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const int32_t left = table->shift > 0 ? table->shift : 0;
    const int32_t right = left ? 0 : -table->shift;
    if (left > MOST_LEFT || right > SIMPLE_MOST_SHIFT || table->slope_shift >= 0 ||
        table->slope_shift < -SIMPLE_MOST_SHIFT) {
        for_each_pair(&table->pairing, prelu_pair, table, input_1, input_2, output);
        return;
    }
    const slopes_t slopes = {
        .zero_point_1 = table->zero_point_1,
        .zero_point_2 = table->zero_point_2,
        .left = left,
        .identity = make_simple(table->multiplier, right, table->zero_point),
        .slope = make_simple(table->slope_multiplier, -table->slope_shift, table->zero_point),
    };
    for_each_pair(&table->pairing, simple_pair, &slopes, input_1, input_2, output);
}

#endif
