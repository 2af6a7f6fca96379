/* Mean over a run of adjacent axes. */
#include "kernels.h"
#include "requantize.h"

void mean_s8(const mean_t *mean, const int8_t *input, int8_t *output) {
    for (int32_t outer = 0; outer < mean->outer; outer++) {
        for (int32_t inner = 0; inner < mean->inner; inner++) {
            const int8_t *from = input + outer * mean->count * mean->inner + inner;
            int32_t sum = -mean->input_zero_point * mean->count;
            for (int32_t i = 0; i < mean->count; i++) {
                sum += *from;
                from += mean->inner;
            }
            sum = add_wrapping(rescale(sum, mean->multiplier, mean->shift), mean->zero_point);
            *output++ = (int8_t)clamp(sum, INT8_MIN, INT8_MAX);
        }
    }
}
