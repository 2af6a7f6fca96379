/* Copies upwards by words of any alignment, which every core with DSP instructions reads and
 * writes: rows of feature maps are too short for memcpy's start to pay. So `to` may overlap what
 * lies behind it in `from`. */
#ifndef HILNAS_COPY_H
#define HILNAS_COPY_H

#include <stdint.h>
#include <string.h>

static inline uint32_t copy_word(const int8_t *from) {
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

static inline void copy_upwards(int8_t *to, const int8_t *from, int32_t count) {
    for (; count >= 16; count -= 16) {
        const uint32_t a = copy_word(from), b = copy_word(from + 4);
        const uint32_t c = copy_word(from + 8), d = copy_word(from + 12);
        memcpy(to, &a, 4);
        memcpy(to + 4, &b, 4);
        memcpy(to + 8, &c, 4);
        memcpy(to + 12, &d, 4);
        from += 16;
        to += 16;
    }
    for (; count >= 4; count -= 4) {
        const uint32_t word = copy_word(from);
        memcpy(to, &word, 4);
        from += 4;
        to += 4;
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

#endif
