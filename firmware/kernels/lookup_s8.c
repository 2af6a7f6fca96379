#include "kernels.h"

void lookup_s8(int32_t count, const int8_t *table, const int8_t *input, int8_t *output) {
    const uint8_t *from = (const uint8_t *)input;
    /* Four at a time, all read before the first is written: loads that follow one another and do
     * not wait for each other take one cycle each (Cortex-M4 TRM, 3.3). */
    for (; count >= 4; count -= 4) {
        const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
        const int8_t at_a = table[a], at_b = table[b], at_c = table[c], at_d = table[d];
        output[0] = at_a;
        output[1] = at_b;
        output[2] = at_c;
        output[3] = at_d;
        from += 4;
        output += 4;
    }
    for (; count > 0; count--) {
        *output++ = table[*from++];
    }
}
