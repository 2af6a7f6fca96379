/* The largest, or the smallest, over one or two runs of adjacent axes. */
#include "kernels.h"

void reduce_max_s8(const reduce_max_t *reduce, const int8_t *input, int8_t *output) {
    const reduction_t *const shape = &reduce->shape;
    const int32_t flip = reduce->flip;
    const int32_t line = shape->near * shape->inner;
    const int32_t plane = shape->middle * line;
    for (int32_t outer = 0; outer < shape->outer; outer++) {
        for (int32_t middle = 0; middle < shape->middle; middle++) {
            const int8_t *const first = input + outer * shape->far * plane + middle * line;
            for (int32_t i = 0; i < shape->inner; i++) {
                int32_t largest = INT8_MIN;
                for (int32_t far = 0; far < shape->far; far++) {
                    const int8_t *from = first + far * plane + i;
                    for (int32_t k = 0; k < shape->near; k++) {
                        const int32_t x = *from ^ flip;
                        largest = x > largest ? x : largest;
                        from += shape->inner;
                    }
                }
                *output++ = (int8_t)(largest ^ flip);
            }
        }
    }
}
