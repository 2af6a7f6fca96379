/* Fully-connected layer: a matrix product whose columns are the input rows. */
#include <string.h>

#include "kernels.h"

void fully_connected_s8(const fully_connected_t *layer, const int8_t *input, int8_t *output,
                        int8_t *scratch) {
    const int32_t depth = layer->depth;
    const int32_t padded = (depth + 3) & ~3;
    if (padded == depth) {
        matmul_s8(input, layer->rows, depth, layer->weights, layer->channels, &layer->out, output);
        return;
    }
    memset(scratch + padded - 4, 0, 4);
    for (int32_t row = 0; row < layer->rows; row++) {
        memcpy(scratch, input + row * depth, (size_t)depth);
        matmul_s8(scratch, 1, padded, layer->weights, layer->channels, &layer->out,
                  output + row * layer->channels);
    }
}
