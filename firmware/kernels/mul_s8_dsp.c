/* The product of two tensors, with a multiplication that keeps the upper word where every scale is
 * rounded to the right (requantize_dsp.h): products of int8 stay below 2^16 in magnitude. */
#include "mul_pair.h"
#include "pairing.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

typedef struct {
    int32_t zero_point_1, zero_point_2;
    simple_t out;
} factors_t;

static inline int8_t simple(const factors_t *mul, int32_t a, int32_t b) {
    return requantize_simple((a - mul->zero_point_1) * (b - mul->zero_point_2), mul->out);
}

void mul_s8(const mul_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const pairing_t *const pairing = &table->pairing;
    if (table->shift >= 0 || table->shift < -SIMPLE_MOST_SHIFT) {
        for_each_pair(pairing, mul_pair, table, input_1, input_2, output);
        return;
    }
    const simple_t out = make_simple(table->multiplier, -table->shift, table->zero_point);
    const factors_t mul = {table->zero_point_1, table->zero_point_2, out};
    const int32_t step_1 = pairing->step_1, step_2 = pairing->step_2;
    for (int32_t row = 0; row < pairing->rows; row++) {
        int32_t left = pairing->depth;
        if (step_1 & step_2) {
            for (; left >= 4; left -= 4) {
                output[0] = simple(&mul, input_1[0], input_2[0]);
                output[1] = simple(&mul, input_1[1], input_2[1]);
                output[2] = simple(&mul, input_1[2], input_2[2]);
                output[3] = simple(&mul, input_1[3], input_2[3]);
                input_1 += 4;
                input_2 += 4;
                output += 4;
            }
        }
        for (; left > 0; left--) {
            *output++ = simple(&mul, *input_1, *input_2);
            input_1 += step_1;
            input_2 += step_2;
        }
        input_1 += pairing->next_1;
        input_2 += pairing->next_2;
    }
}

#endif
