#include "kernels.h"

void lookup_s8(int32_t count, const int8_t *table, const int8_t *input, int8_t *output) {
    const uint8_t *from = (const uint8_t *)input;
    /* Eight at a time, all read before the first is written: loads that follow one another and do
     * not wait for each other take one cycle each (Cortex-M4 TRM, 3.3). */
    for (; count >= 8; count -= 8) {
        const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
        const uint32_t e = from[4], f = from[5], g = from[6], h = from[7];
        const int8_t results[] = {table[a], table[b], table[c], table[d],
                                  table[e], table[f], table[g], table[h]};
        for (int32_t i = 0; i < 8; i++) {
            output[i] = results[i];
        }
        from += 8;
        output += 8;
    }
    for (; count > 0; count--) {
        *output++ = table[*from++];
    }
}
