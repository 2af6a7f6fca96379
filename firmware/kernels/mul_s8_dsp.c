/* The product of two tensors, two values at once: factors without their zero points are halfwords,
 * and those of the first are doubled for requantize_dsp.h. */
#include "mul_pair.h"
#include "pairing.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

void mul_s8(const mul_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const pairing_t *const pairing = &table->pairing;
    if (table->shift >= 0 || table->shift < -SIMPLE_MOST_SHIFT) {
        for_each_pair(pairing, mul_pair, table, input_1, input_2, output);
        return;
    }
    const simple_t out = make_simple(table->multiplier, -table->shift, table->zero_point);
    const uint32_t zeros_1 = pkhbt((uint32_t)-table->zero_point_1, (uint32_t)-table->zero_point_1);
    const uint32_t zeros_2 = pkhbt((uint32_t)-table->zero_point_2, (uint32_t)-table->zero_point_2);
    for (int32_t row = 0; row < pairing->rows; row++) {
        const int32_t words = in_words(pairing);
        const int8_t *const end = output + words;
        while (output != end) {
            const uint32_t a = load_word(input_1), b = load_word(input_2);
            uint32_t a_even = sxtab16(zeros_1, a), a_odd = sxtab16_odd(zeros_1, a);
            const uint32_t b_even = sxtab16(zeros_2, b), b_odd = sxtab16_odd(zeros_2, b);
            a_even = sadd16(a_even, a_even);
            a_odd = sadd16(a_odd, a_odd);
            output[0] = requantize_doubled(smulbb(a_even, b_even), out);
            output[1] = requantize_doubled(smulbb(a_odd, b_odd), out);
            output[2] = requantize_doubled(smultt(a_even, b_even), out);
            output[3] = requantize_doubled(smultt(a_odd, b_odd), out);
            input_1 += 4;
            input_2 += 4;
            output += 4;
        }
        for (int32_t i = 0; i < pairing->depth - words; i++) {
            const int32_t a = input_1[i & pairing->mask_1], b = input_2[i & pairing->mask_2];
            const int32_t product = (a - table->zero_point_1) * (b - table->zero_point_2);
            *output++ = requantize_simple(product, out);
        }
        input_1 += pairing->row_1 - words;
        input_2 += pairing->row_2 - words;
    }
}

#endif
