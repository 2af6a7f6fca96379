/* Softmax of int16: exponentials and the reciprocal of their sum from tables, interpolated. A Qm.n
 * has m integer and n fractional bits and a sign. */
#include "kernels.h"
#include "requantize.h"

/* 512 intervals of 128; one more sample ends the last one. */
static int32_t interpolate(int32_t x, const int16_t *table) {
    const int16_t *const at = table + 256 + (x >> 7);
    const int16_t slope = (int16_t)(at[1] - at[0]);
    return (int16_t)(at[0] + ((slope * (x & 0x7f) + 64) >> 7));
}

void softmax_s16(const softmax_s16_t *softmax, const int16_t *input, int16_t *output) {
    for (int32_t row = 0; row < softmax->rows; row++) {
        const int32_t depth = softmax->depth;
        int32_t largest = INT16_MIN;
        for (int32_t i = 0; i < depth; i++) {
            largest = input[i] > largest ? input[i] : largest;
        }
        int32_t sum = 0; /* Q16.15 */
        for (int32_t i = 0; i < depth; i++) {
            const int32_t x = rescale(input[i] - largest, softmax->multiplier, softmax->shift);
            output[i] =
                (int16_t)interpolate(clamp(x + INT16_MAX, INT16_MIN, INT16_MAX), softmax->exp);
            sum += output[i];
        }
        /* sum = 2^exponent * (1 + x), 0 <= x < 1 as Q0.16 from INT16_MIN on */
        const int32_t headroom = __builtin_clz((uint32_t)sum);
        const int32_t mantissa = (int32_t)((((uint32_t)sum << (headroom - 1)) + (1u << 13)) >> 14);
        const int32_t scale =
            interpolate(clamp(mantissa - (3 << 15), INT16_MIN, INT16_MAX), softmax->reciprocal);
        const int32_t shift = 31 - headroom;
        for (int32_t i = 0; i < depth; i++) {
            const int32_t y = (output[i] * scale + (1 << (shift - 1))) >> shift;
            output[i] = (int16_t)clamp(y, 0, INT16_MAX);
        }
        input += depth;
        output += depth;
    }
}
