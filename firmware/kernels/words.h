/* Words at any address, which every core with DSP instructions reads and writes at once. */
#ifndef HILNAS_WORDS_H
#define HILNAS_WORDS_H

#include <stdint.h>
#include <string.h>

static inline uint32_t load_word(const int8_t *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/* Two values of 16 bits. */
static inline uint32_t load_halves(const int16_t *from) {
    uint32_t pair;
    memcpy(&pair, from, sizeof pair);
    return pair;
}

static inline void store_word(int8_t *to, uint32_t word) { memcpy(to, &word, sizeof word); }

/* The lower half. */
static inline void store_half(int8_t *to, uint32_t word) {
    const uint16_t half = (uint16_t)word;
    memcpy(to, &half, sizeof half);
}

/* The byte in all four places. */
static inline uint32_t four_times(int32_t byte) { return (uint8_t)byte * 0x01010101u; }

#endif
