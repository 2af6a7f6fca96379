/* The sum of two tensors, with multiplications that keep the upper word.
 *
 * The input of the larger scale has the multiplier 1/2 exactly (2^30, shift 0): it is shifted left
 * by 19. Everything else is rounded to the right by at least one, as in requantize_dsp.h. Inputs
 * stay below 2^28 and their sum below 2^29 in magnitude, so that doubling never overflows. */
#include "add_pair.h"
#include "pairing.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

typedef struct {
    int32_t exact_zero_point, exact_lift;
    int32_t other_zero_point, other_lift, other_sign;
    int32_t multiplier, shift;
    simple_t out;
} exact_t;

static inline int8_t add_exact(const void *table, int32_t exact, int32_t other) {
    const exact_t *add = table;
    int32_t y = smmulr((other - add->other_zero_point) * add->other_lift, add->multiplier);
    y += y >> 31;
    y = ((y >> add->shift) + 1) >> 1;
    const int32_t sum = (exact - add->exact_zero_point) * add->exact_lift + y * add->other_sign;
    return requantize_simple(sum, add->out);
}

static pairing_t swapped(pairing_t pairing) {
    const pairing_t other = {pairing.rows,   pairing.depth, pairing.mask_2,
                             pairing.mask_1, pairing.row_2, pairing.row_1};
    return other;
}

void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const int32_t first_is_exact = add->shift_1 == 0;
    /* A scale that vanishes beside the other has shift 0 too, but the multiplier 0. */
    if ((!first_is_exact && add->shift_2 != 0) || add->multiplier_1 == 0 ||
        add->multiplier_2 == 0 || add->shift >= 0 || add->shift < -SIMPLE_MOST_SHIFT) {
        for_each_pair(&add->pairing, add_pair, add, input_1, input_2, output);
        return;
    }
    const int32_t right = -(first_is_exact ? add->shift_2 : add->shift_1);
    const exact_t table = {
        .exact_zero_point = first_is_exact ? add->zero_point_1 : add->zero_point_2,
        .exact_lift = (first_is_exact ? 1 : add->sign) * (1 << 19),
        .other_zero_point = first_is_exact ? add->zero_point_2 : add->zero_point_1,
        /* Both exact: a quarter of twice as much, shifted right by one like all others. */
        .other_lift = right ? 2 << 20 : 4 << 20,
        .other_sign = first_is_exact ? add->sign : 1,
        .multiplier = first_is_exact ? add->multiplier_2 : add->multiplier_1,
        .shift = right ? right - 1 : 0,
        .out = make_simple(add->multiplier, -add->shift, add->zero_point),
    };
    const pairing_t pairing = first_is_exact ? add->pairing : swapped(add->pairing);
    const int8_t *const exact = first_is_exact ? input_1 : input_2;
    const int8_t *const other = first_is_exact ? input_2 : input_1;
    for_each_pair(&pairing, add_exact, &table, exact, other, output);
}

#endif
