#include "dsp.h"
#include "kernels.h"
#include "pairing.h"

void minimum_s8(const pairing_t *pairing, const int8_t *input_1, const int8_t *input_2,
                int8_t *output) {
    for_each_word(pairing, min_of_bytes, input_1, input_2, output);
}
