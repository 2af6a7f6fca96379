/* Sums of int16 over one or two runs of adjacent axes. */
#include "kernels.h"
#include "requantize.h"

void reduce_sum_s16(const reduce_sum_t *reduce, const int16_t *input, int16_t *output) {
    const reduction_t *const shape = &reduce->shape;
    const int32_t line = shape->near * shape->inner;
    const int32_t plane = shape->middle * line;
    for (int32_t outer = 0; outer < shape->outer; outer++) {
        for (int32_t middle = 0; middle < shape->middle; middle++) {
            const int16_t *const first = input + outer * shape->far * plane + middle * line;
            for (int32_t i = 0; i < shape->inner; i++) {
                int32_t sum = 0;
                for (int32_t far = 0; far < shape->far; far++) {
                    const int16_t *from = first + far * plane + i;
                    for (int32_t k = 0; k < shape->near; k++) {
                        sum += *from;
                        from += shape->inner;
                    }
                }
                sum = rescale(sum, reduce->multiplier, reduce->shift);
                *output++ = (int16_t)clamp(sum, INT16_MIN, INT16_MAX);
            }
        }
    }
}
