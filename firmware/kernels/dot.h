/* Dot products of vectors of any alignment. Sums wrap, as the reference's do. */
#ifndef HILNAS_DOT_H
#define HILNAS_DOT_H

#include <stdint.h>

#include "dsp.h"
#include "variant.h"

/* sum + a[0] * b[0] + ... + a[count - 1] * b[count - 1] */
static inline int32_t dot_s8(const int8_t *a, const int8_t *b, int32_t count, int32_t sum) {
#if KERNELS_DSP
    for (; count >= 4; count -= 4) {
        const uint32_t x = load_word(a), y = load_word(b);
        sum = smlad(sxtb16(x), sxtb16(y), sum);
        sum = smlad(sxtb16_odd(x), sxtb16_odd(y), sum);
        a += 4;
        b += 4;
    }
#endif
    for (; count > 0; count--) {
        sum = (int32_t)((uint32_t)sum + (uint32_t)(*a++ * *b++));
    }
    return sum;
}

static inline int32_t dot_s16(const int16_t *a, const int16_t *b, int32_t count, int32_t sum) {
#if KERNELS_DSP
    for (; count >= 2; count -= 2) {
        sum = smlad(load_halves(a), load_halves(b), sum);
        a += 2;
        b += 2;
    }
#endif
    for (; count > 0; count--) {
        sum = (int32_t)((uint32_t)sum + (uint32_t)(*a++ * *b++));
    }
    return sum;
}

#endif
