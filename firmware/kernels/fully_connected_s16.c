/* Fully-connected layer of int16: a matrix product whose columns are the input rows. */
#include <string.h>

#include "kernels.h"

void fully_connected_s16(const fully_connected_s16_t *layer, const int16_t *input, int16_t *output,
                         int16_t *scratch) {
    for (int32_t row = 0; row < layer->rows; row++) {
        const int16_t *column = input;
        if (layer->depth % 2 != 0) {
            memcpy(scratch, input, (size_t)layer->depth * sizeof *scratch);
            scratch[layer->depth] = 0;
            column = scratch;
        }
        matmul_s16(&layer->filters, column, 1, 1, output);
        input += layer->depth;
        output += layer->filters.channels;
    }
}
