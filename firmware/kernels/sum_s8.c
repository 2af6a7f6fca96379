/* Values are taken where they lie in a word: as the upper bytes of its halves, 2^8 times as much,
 * half of them after the word was shifted. */
#include "dsp.h"
#include "kernels.h"
#include "pairing.h"

static inline int8_t low_sum(const sum_t *sum, uint32_t a, uint32_t b) {
    const int32_t x = smlawb(sum->factor_1, a, sum->offset);
    return (int8_t)ssat8_shifted_20(smlawb(sum->factor_2, b, x));
}

static inline int8_t high_sum(const sum_t *sum, uint32_t a, uint32_t b) {
    const int32_t x = smlawt(sum->factor_1, a, sum->offset);
    return (int8_t)ssat8_shifted_20(smlawt(sum->factor_2, b, x));
}

void sum_s8(const sum_t *table, const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const sum_t sum = *table;
    const pairing_t *const pairing = &table->pairing;
    const uint32_t upper = in_register(0xFF00FF00u);
    for (int32_t row = 0; row < pairing->rows; row++) {
        const int32_t words = in_words(pairing);
        const int8_t *const end = output + words;
        while (output != end) {
            const uint32_t a = load_word(input_1), b = load_word(input_2);
            const uint32_t a_even = (a << 8) & upper, b_even = (b << 8) & upper;
            const uint32_t a_odd = a & upper, b_odd = b & upper;
            output[0] = low_sum(&sum, a_even, b_even);
            output[1] = low_sum(&sum, a_odd, b_odd);
            output[2] = high_sum(&sum, a_even, b_even);
            output[3] = high_sum(&sum, a_odd, b_odd);
            input_1 += 4;
            input_2 += 4;
            output += 4;
        }
        for (int32_t i = 0; i < pairing->depth - words; i++) {
            const int32_t a = input_1[i & pairing->mask_1], b = input_2[i & pairing->mask_2];
            *output++ = low_sum(&sum, (uint32_t)a << 8, (uint32_t)b << 8);
        }
        input_1 += pairing->row_1 - words;
        input_2 += pairing->row_2 - words;
    }
}
