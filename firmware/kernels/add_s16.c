/* Sum of two int16 tensors of different scales: both are brought to twice the larger scale with 15
 * more bits, added, and brought to the output's. */
#include "kernels.h"
#include "requantize.h"

#define LEFT_SHIFT 15

void add_s16(const add_s16_t *add, const int16_t *input_1, const int16_t *input_2,
             int16_t *output) {
    for (int32_t i = 0; i < add->count; i++) {
        const int32_t a = input_1[i] * (1 << LEFT_SHIFT);
        const int32_t b = input_2[i] * (1 << LEFT_SHIFT);
        const int32_t sum = rescale(a, add->multiplier_1, add->shift_1) +
                            rescale(b, add->multiplier_2, add->shift_2);
        output[i] = (int16_t)clamp(rescale(sum, add->multiplier, add->shift), add->min, add->max);
    }
}
