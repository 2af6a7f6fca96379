#include "pairing.h"
#include "requantize.h"

static int8_t prelu_pair(const void *table, int32_t x, int32_t slope) {
    const prelu_t *prelu = table;
    x -= prelu->zero_point_1;
    slope -= prelu->zero_point_2;
    const int32_t scaled = x >= 0 ? rescale(x, prelu->multiplier, prelu->shift)
                                  : rescale(x * slope, prelu->slope_multiplier, prelu->slope_shift);
    return (int8_t)clamp(add_wrapping(scaled, prelu->zero_point), INT8_MIN, INT8_MAX);
}

void prelu_s8(const prelu_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    for_each_pair(&table->pairing, prelu_pair, table, input_1, input_2, output);
}
