/* Sum of two tensors of different scales: both are brought to twice the larger scale with 20 more
 * bits, added, and brought to the output's. */
#include "add_s8_reference.h"
#include "requantize.h"

#define LEFT_SHIFT 20

void add_s8_reference(const add_t *add, const int8_t *input_1, const int8_t *input_2,
                      int8_t *output) {
    for (int32_t i = 0; i < add->count; i++) {
        const int32_t a = (input_1[i] - add->zero_point_1) * (1 << LEFT_SHIFT);
        const int32_t b = (input_2[i] - add->zero_point_2) * (1 << LEFT_SHIFT);
        const int32_t sum = rescale(a, add->multiplier_1, add->shift_1) +
                            rescale(b, add->multiplier_2, add->shift_2);
        const int32_t scaled =
            add_wrapping(rescale(sum, add->multiplier, add->shift), add->zero_point);
        output[i] = (int8_t)clamp(scaled, add->min, add->max);
    }
}

#if !KERNELS_DSP

void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    add_s8_reference(add, input_1, input_2, output);
}

#endif
