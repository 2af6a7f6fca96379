/* The sum of two tensors, with multiplications that keep the upper word. Inputs are below 2^28 and
 * their sum below 2^29 in magnitude, so doubling before a multiplication never overflows. */
#include "dsp.h"
#include "kernels.h"
#include "requantize.h"

#if KERNELS_DSP

#define LEFT_SHIFT 20

typedef struct {
    int32_t multiplier, shift, half, sign;
} scale_t;

static scale_t scale_of(int32_t multiplier, int32_t shift) {
    const scale_t scale = {multiplier, -shift, shift ? 1 << (-shift - 1) : 0, shift ? -1 : 0};
    return scale;
}

/* rescale(x / 2, ...): halves away from zero is half up, less one for negative numbers. */
static inline int32_t scale_double(int32_t x, scale_t scale) {
    const int32_t y = smmulr(x, scale.multiplier);
    return (y + scale.half + ((y >> 31) & scale.sign)) >> scale.shift;
}

void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const scale_t scale_1 = scale_of(add->multiplier_1, add->shift_1);
    const scale_t scale_2 = scale_of(add->multiplier_2, add->shift_2);
    const scale_t scale = scale_of(add->multiplier, add->shift);
    const int32_t zero_point_1 = add->zero_point_1, zero_point_2 = add->zero_point_2;
    const int32_t zero_point = add->zero_point, min = add->min, max = add->max;
    for (int32_t i = 0; i < add->count; i++) {
        const int32_t a = (input_1[i] - zero_point_1) * (1 << (LEFT_SHIFT + 1));
        const int32_t b = (input_2[i] - zero_point_2) * (1 << (LEFT_SHIFT + 1));
        const int32_t sum = scale_double(a, scale_1) + scale_double(b, scale_2);
        output[i] = (int8_t)clamp(scale_double(2 * sum, scale) + zero_point, min, max);
    }
}

#endif
