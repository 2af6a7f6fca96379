/* The sum of two tensors, with multiplications that keep the upper word.
 *
 * The input of the larger scale has the multiplier 1/2 exactly (2^30, shift 0): it is shifted left
 * by 19. Everything else is rounded to the right by at least one, as in requantize_dsp.h. Inputs
 * stay below 2^28 and their sum below 2^29 in magnitude, so that doubling never overflows. */
#include "add_s8_reference.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const int32_t first_is_exact = add->shift_1 == 0;
    /* A scale that vanishes beside the other has shift 0 too, but the multiplier 0. */
    if ((!first_is_exact && add->shift_2 != 0) || add->multiplier_1 == 0 ||
        add->multiplier_2 == 0 || add->shift >= 0 || add->shift < -SIMPLE_MOST_SHIFT ||
        add->min != INT8_MIN || add->max != INT8_MAX) {
        add_s8_reference(add, input_1, input_2, output);
        return;
    }
    const int8_t *exact = first_is_exact ? input_1 : input_2;
    const int8_t *other = first_is_exact ? input_2 : input_1;
    const int32_t exact_zero = first_is_exact ? add->zero_point_1 : add->zero_point_2;
    const int32_t other_zero = first_is_exact ? add->zero_point_2 : add->zero_point_1;
    const int32_t multiplier = first_is_exact ? add->multiplier_2 : add->multiplier_1;
    const int32_t right = -(first_is_exact ? add->shift_2 : add->shift_1);
    /* Both exact: a quarter of twice as much, shifted right by one like all others. */
    const int32_t lift = right ? 2 << 20 : 4 << 20;
    const int32_t shift = right ? right - 1 : 0;
    const simple_t out = make_simple(add->multiplier, -add->shift, add->zero_point);
    const int8_t *const end = exact + add->count;
    while (exact != end) {
        int32_t y = smmulr((*other++ - other_zero) * lift, multiplier);
        y += y >> 31;
        const int32_t sum = (*exact++ - exact_zero) * (1 << 19) + (((y >> shift) + 1) >> 1);
        *output++ = requantize_simple(sum, out);
    }
}

#endif
