/* Matrix products. */
#ifndef HILNAS_MATMUL_H
#define HILNAS_MATMUL_H

#include <stdint.h>

#include "requantization.h"

/* Filters of the matrix product, [channels][depth], depth % 4 == 0, lie in pairs: four bytes of
 * channel 2i, the same four of channel 2i + 1, the next four of channel 2i, ...; an odd last
 * channel lies plainly. */

typedef struct {
    int32_t rows, depth, channels;
    const int8_t *weights;
    requantization_t out;
} fully_connected_t;

/* weights: [channels][depth rounded up to 4] in pairs, rest zero. scratch: depth rounded up to 4
 * bytes where depth % 4 != 0, else unused. input and scratch are 4-byte aligned. */
void fully_connected_s8(const fully_connected_t *layer, const int8_t *input, int8_t *output,
                        int8_t *scratch);

/* output[p][c] = requantized dot product of columns[p] and weights[c], which lie in pairs;
 * depth % 4 == 0, everything 4-byte aligned. */
void matmul_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
               int32_t channels, const requantization_t *out, int8_t *output);

/* The same for `count` filters (1 or 2, in pairs) of which the first is channel `channel`, and any
 * number of columns; output is that channel of the first pixel, `pitch` bytes before the next. */
void filter_pair_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
                    int32_t channel, int32_t count, const requantization_t *out, int8_t *output,
                    int32_t pitch);

#endif
