/* Sums over one or two runs of adjacent axes, four neighbours at a time where there are four. */
#include "kernels.h"
#include "requantize.h"
#include "words.h"

static int8_t finish(const reduce_sum_t *reduce, int32_t sum) {
    sum = rescale(sum, reduce->multiplier, reduce->shift);
    return (int8_t)clamp(add_wrapping(sum, reduce->zero_point), INT8_MIN, INT8_MAX);
}

void reduce_sum_s8(const reduce_sum_t *reduce, const int8_t *input, int8_t *output) {
    const reduction_t *const shape = &reduce->shape;
    const int32_t near = shape->near, inner = shape->inner;
    const int32_t line = near * inner;
    const int32_t plane = shape->middle * line;
    for (int32_t outer = 0; outer < shape->outer; outer++) {
        for (int32_t middle = 0; middle < shape->middle; middle++) {
            const int8_t *const first = input + outer * shape->far * plane + middle * line;
            int32_t i = 0;
            for (; i <= inner - 4; i += 4) {
                int32_t a = reduce->offset, b = a, c = a, d = a;
                for (int32_t far = 0; far < shape->far; far++) {
                    const int8_t *from = first + far * plane + i;
                    for (int32_t k = 0; k < near; k++) {
                        const uint32_t four = load_word(from);
                        a += (int8_t)four;
                        b += (int8_t)(four >> 8);
                        c += (int8_t)(four >> 16);
                        d += (int8_t)(four >> 24);
                        from += inner;
                    }
                }
                *output++ = finish(reduce, a);
                *output++ = finish(reduce, b);
                *output++ = finish(reduce, c);
                *output++ = finish(reduce, d);
            }
            for (; i < inner; i++) {
                int32_t sum = reduce->offset;
                for (int32_t far = 0; far < shape->far; far++) {
                    const int8_t *from = first + far * plane + i;
                    for (int32_t k = 0; k < near; k++) {
                        sum += *from;
                        from += inner;
                    }
                }
                *output++ = finish(reduce, sum);
            }
        }
    }
}
