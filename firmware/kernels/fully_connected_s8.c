/* Fully-connected layer: a matrix product whose columns are the input rows. */
#include <string.h>

#include "kernels.h"

__attribute__((noinline)) static void pack_row(const int8_t *row, int32_t depth, int32_t *to,
                                               int32_t columns) {
    const int32_t words = depth / 4;
    int32_t sum = pack_lines_s8(row, words, 1, 0, to + columns, columns);
    if (depth % 4) {
        int8_t rest[4] = {0};
        memcpy(rest, row + 4 * words, (size_t)(depth % 4));
        sum += pack_lines_s8(rest, 1, 1, 0, to + columns + 2 * words * columns, columns);
    }
    *to = sum;
}

void fully_connected_s8(const fully_connected_t *table, const int8_t *input, int8_t *output,
                        int8_t *scratch) {
    const fully_connected_t local = *table, *const layer = &local; /* out of slow flash */
    int32_t *const columns = (int32_t *)(void *)scratch;
    for (int32_t row = 0; row < layer->rows; row += 4) {
        const int32_t left = layer->rows - row;
        const int32_t rows = left < 4 ? left : 4;
        const int32_t together = rows > 1 ? 4 : 1;
        for (int32_t i = 0; i < together; i++) { /* a group's rest repeats its last row */
            const int32_t from = row + (i < rows ? i : rows - 1);
            pack_row(input + from * layer->depth, layer->depth, columns + i, together);
        }
        layer->filters.matmul(&layer->filters, columns, rows, NULL,
                              output + row * layer->filters.channels);
    }
}
