#include "depthwise_gather_s8.h"

#include "dsp.h"

void depthwise_gather_four_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                              int32_t plane) {
    const depthwise_gather_t g = *gather;
    int8_t *to1 = to + plane, *to2 = to1 + plane, *to3 = to2 + plane;
    for (int32_t y = g.rows; y > 0; y--) {
        int32_t x = g.columns;
        for (; x >= 4; x -= 4) {
            const uint32_t a = load_word(from), b = load_word(from + g.channels);
            const uint32_t c = load_word(from + 2 * g.channels);
            const uint32_t d = load_word(from + 3 * g.channels);
            const uint32_t ac = pkhbt(a, c), bd = pkhbt(b, d);
            store_word(to, uxtb16(ac) | uxtb16(bd) << 8);
            store_word(to1, uxtb16_odd(ac) | uxtb16_odd(bd) << 8);
            const uint32_t ac23 = pkhtb(a, c), bd23 = pkhtb(b, d);
            store_word(to2, uxtb16(ac23) | uxtb16(bd23) << 8);
            store_word(to3, uxtb16_odd(ac23) | uxtb16_odd(bd23) << 8);
            from += 4 * g.channels;
            to += 4;
            to1 += 4;
            to2 += 4;
            to3 += 4;
        }
        if (x & 2) {
            const uint32_t a = load_word(from), b = load_word(from + g.channels);
            const uint32_t ab02 = uxtb16(a) | uxtb16(b) << 8;
            const uint32_t ab13 = uxtb16_odd(a) | uxtb16_odd(b) << 8;
            store_half(to, ab02);
            store_half(to1, ab13);
            store_half(to2, ab02 >> 16);
            store_half(to3, ab13 >> 16);
            from += 2 * g.channels;
            to += 2;
            to1 += 2;
            to2 += 2;
            to3 += 2;
        }
        if (x & 1) {
            const uint32_t a = load_word(from);
            from += g.channels;
            *to++ = (int8_t)a;
            *to1++ = (int8_t)(a >> 8);
            *to2++ = (int8_t)(a >> 16);
            *to3++ = (int8_t)(a >> 24);
        }
        from += g.skip;
        to += g.gap;
        to1 += g.gap;
        to2 += g.gap;
        to3 += g.gap;
    }
}

void depthwise_gather_few_s8(const depthwise_gather_t *gather, const int8_t *from, int8_t *to,
                             int32_t plane, int32_t count) {
    for (int32_t y = gather->rows; y > 0; y--) {
        for (int32_t x = gather->columns; x > 0; x--) {
            for (int32_t k = 0; k < count; k++) {
                to[k * plane] = from[k];
            }
            to++;
            from += gather->channels;
        }
        from += gather->skip;
        to += gather->gap;
    }
}
