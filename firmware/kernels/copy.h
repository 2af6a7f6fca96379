/* Copies upwards by words: rows of feature maps are too short for memcpy's start to pay. So `to`
 * may overlap what lies behind it in `from`. */
#ifndef HILNAS_COPY_H
#define HILNAS_COPY_H

#include <stdint.h>

#include "words.h"

static inline void copy_upwards(int8_t *to, const int8_t *from, int32_t count) {
    for (; count >= 16; count -= 16) {
        const uint32_t a = load_word(from), b = load_word(from + 4);
        const uint32_t c = load_word(from + 8), d = load_word(from + 12);
        store_word(to, a);
        store_word(to + 4, b);
        store_word(to + 8, c);
        store_word(to + 12, d);
        from += 16;
        to += 16;
    }
    for (; count >= 4; count -= 4) {
        const uint32_t word = load_word(from);
        store_word(to, word);
        from += 4;
        to += 4;
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

#endif
