/* convolution 1x1, SMLAD: a layer of 16 x 16 x 32, int8. */
#include "layer.h"

static uint32_t sxtb16(uint32_t word) {
    uint32_t result;
    __asm("sxtb16 %0, %1" : "=r"(result) : "r"(word));
    return result;
}
static uint32_t sxtb16_odd(uint32_t word) {
    uint32_t result;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(word));
    return result;
}
static int32_t smlad(uint32_t a, uint32_t b, int32_t sum) {
    int32_t result;
    __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
}
static void layer(void) {
    for (int p = 0; p < 256; p++)
        for (int o = 0; o < 32; o++) {
            int32_t sum = 0;
            const uint32_t *in = (const uint32_t *)(input + p * 32);
            const uint32_t *w = (const uint32_t *)(weights + o * 32);
            for (int c = 0; c < 8; c++) {
                sum = smlad(sxtb16(in[c]), sxtb16(w[c]), sum);
                sum = smlad(sxtb16_odd(in[c]), sxtb16_odd(w[c]), sum);
            }
            output[p * 32 + o] = requantize(sum);
        }
}
