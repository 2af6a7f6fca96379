/* Fully-connected layer of int16: a matrix product whose columns are the input rows. */
#include <string.h>

#include "kernels.h"

void fully_connected_s16(const fully_connected_s16_t *layer, const int16_t *input, int16_t *output,
                         int16_t *scratch) {
    const int32_t depth = layer->depth, channels = layer->channels;
    const int32_t padded = (depth + 3) & ~3;
    if (padded == depth) {
        matmul_s16(input, layer->rows, depth, layer->weights, channels, &layer->out, output);
        return;
    }
    memset(scratch + padded - 4, 0, 4 * sizeof *scratch);
    for (int32_t row = 0; row < layer->rows; row++) {
        memcpy(scratch, input + row * depth, (size_t)depth * sizeof *scratch);
        matmul_s16(scratch, 1, padded, layer->weights, channels, &layer->out,
                   output + row * channels);
    }
}
