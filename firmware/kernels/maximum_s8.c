#include "dsp.h"
#include "kernels.h"
#include "pairing.h"

void maximum_s8(const pairing_t *pairing, const int8_t *input_1, const int8_t *input_2,
                int8_t *output) {
    for (int32_t row = 0; row < pairing->rows; row++) {
        int32_t words = 0;
#if KERNELS_DSP
        words = in_words(pairing);
        for (const int8_t *const end = output + words; output != end; output += 4) {
            const uint32_t a = load_word(input_1), b = load_word(input_2);
            store_word(output, max_of_bytes(a, b));
            input_1 += 4;
            input_2 += 4;
        }
#endif
        for (int32_t i = 0; i < pairing->depth - words; i++) {
            const int8_t a = input_1[i & pairing->mask_1], b = input_2[i & pairing->mask_2];
            *output++ = a > b ? a : b;
        }
        input_1 += pairing->row_1 - words;
        input_2 += pairing->row_2 - words;
    }
}
