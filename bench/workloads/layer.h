/* What the layers share; each file defines layer(). */
#include <stdint.h>

int8_t input[16 * 16 * 32], output[16 * 16 * 32];
const int8_t weights[32 * 3 * 3 * 32] = {1, 2, 3, -4, 5};

static int8_t requantize(int32_t sum) {
    int32_t scaled = (int32_t)(((int64_t)sum * 1518500250 + (1 << 30)) >> 31) >> 6;
    return (int8_t)(scaled > 127 ? 127 : scaled < -128 ? -128 : scaled);
}

static void layer(void);

void program(uint32_t rounds) {
    while (rounds--)
        layer();
}
