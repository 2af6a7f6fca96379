/* Four bytes at a time. */
#include "dsp.h"
#include "kernels.h"
#include "requantize.h"

#if KERNELS_DSP

void clamp_s8(int32_t count, int32_t min, int32_t max, const int8_t *input, int8_t *output) {
    const uint32_t lowest = four_times(min);
    const uint32_t highest = four_times(max);
    for (; count >= 8; count -= 8) {
        const uint32_t first = load_word(input), second = load_word(input + 4);
        store_word(output, min_of_bytes(max_of_bytes(first, lowest), highest));
        store_word(output + 4, min_of_bytes(max_of_bytes(second, lowest), highest));
        input += 8;
        output += 8;
    }
    for (; count > 0; count--) {
        *output++ = (int8_t)clamp(*input++, min, max);
    }
}

#endif
