/* One result after the other from two tensors, as a pairing tells. */
#ifndef HILNAS_PAIRING_H
#define HILNAS_PAIRING_H

#include <stdint.h>

#include "arithmetic.h"
#include "words.h"

/* How many elements of a row lie side by side in both tensors, in whole words. */
static inline int32_t in_words(const pairing_t *pairing) {
    return pairing->depth & pairing->mask_1 & pairing->mask_2 & ~3;
}

typedef int8_t pair_function_t(const void *table, int32_t a, int32_t b);

/* Compiled into its caller, `function` with it. */
static inline void for_each_pair(const pairing_t *pairing, pair_function_t *function,
                                 const void *table, const int8_t *input_1, const int8_t *input_2,
                                 int8_t *output) {
    for (int32_t row = 0; row < pairing->rows; row++) {
        for (int32_t i = 0; i < pairing->depth; i++) {
            const int32_t a = input_1[i & pairing->mask_1], b = input_2[i & pairing->mask_2];
            *output++ = function(table, a, b);
        }
        input_1 += pairing->row_1;
        input_2 += pairing->row_2;
    }
}

/* Four results from four bytes of each operand. */
typedef uint32_t word_function_t(uint32_t a, uint32_t b);

/* The same by words where they lie side by side. */
static inline void for_each_word(const pairing_t *pairing, word_function_t *function,
                                 const int8_t *input_1, const int8_t *input_2, int8_t *output) {
    const int32_t depth = pairing->depth, words = in_words(pairing);
    for (int32_t row = 0; row < pairing->rows; row++) {
        int32_t i = 0;
        for (; i < words; i += 4) {
            store_word(output + i, function(load_word(input_1 + i), load_word(input_2 + i)));
        }
        for (; i < depth; i++) {
            const int8_t a = input_1[i & pairing->mask_1], b = input_2[i & pairing->mask_2];
            output[i] = (int8_t)function((uint8_t)a, (uint8_t)b);
        }
        input_1 += pairing->row_1;
        input_2 += pairing->row_2;
        output += depth;
    }
}

#endif
