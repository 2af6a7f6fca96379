#include "dsp.h"
#include "kernels.h"

void minimum_s8(const pairing_t *pairing, const int8_t *input_1, const int8_t *input_2,
                int8_t *output) {
    for (int32_t row = 0; row < pairing->rows; row++) {
        int32_t left = pairing->depth;
#if KERNELS_DSP
        if (pairing->step_1 & pairing->step_2) {
            for (; left >= 4; left -= 4) {
                store_word(output, min_of_bytes(load_word(input_1), load_word(input_2)));
                input_1 += 4;
                input_2 += 4;
                output += 4;
            }
        }
#endif
        for (; left > 0; left--) {
            *output++ = *input_1 < *input_2 ? *input_1 : *input_2;
            input_1 += pairing->step_1;
            input_2 += pairing->step_2;
        }
        input_1 += pairing->next_1;
        input_2 += pairing->next_2;
    }
}
