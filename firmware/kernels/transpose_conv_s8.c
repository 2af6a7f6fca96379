/* Transposed convolution: output pixels of one phase as an ordinary convolution with the taps that
 * meet them. */
#include <string.h>

#include "kernels.h"
#include "requantize.h"

/* The input pixels that meet an output pixel, from (row, column) on, as a row of the matrix; what
 * lies outside is the zero point. */
static void gather_column(const transpose_conv_t *conv, const transpose_conv_phase_t *phase,
                          const int8_t *input, int32_t row, int32_t column, int8_t *into,
                          int32_t depth) {
    const int32_t channels = conv->input_channels;
    const int32_t width = phase->kernel_width;
    const int32_t left = clamp(-column, 0, width);
    const int32_t right = clamp(column + width - conv->input_width, 0, width);
    const int32_t inside = width - left - right;
    int8_t *const end = into + depth;
    for (int32_t y = row; y < row + phase->kernel_height; y++) {
        memset(into, conv->input_zero_point, (size_t)(width * channels));
        if (y >= 0 && y < conv->input_height && inside > 0) {
            memcpy(into + left * channels,
                   input + (y * conv->input_width + column + left) * channels,
                   (size_t)(inside * channels));
        }
        into += width * channels;
    }
    while (into < end) { /* against zero weights; written so that the arena's use is exact */
        *into++ = 0;
    }
}

/* The output pixels of `row` that are in one phase, the first of them at `column`. */
static void convolve_phase(const transpose_conv_t *conv, const transpose_conv_phase_t *phase,
                           const int8_t *input, int32_t row, int32_t column, int8_t *output,
                           int8_t *scratch) {
    const int32_t channels = conv->output_channels, depth = phase->filters.depth;
    const int32_t from_row = (row + conv->pad_top) / conv->stride_height - phase->kernel_height + 1;
    int32_t *const packed = (int32_t *)(void *)(scratch + conv->longest);
    for (; column < conv->output_width; column += conv->stride_width) {
        const int32_t from =
            (column + conv->pad_left) / conv->stride_width - phase->kernel_width + 1;
        gather_column(conv, phase, input, from_row, from, scratch, depth);
        *packed = pack_lines_s8(scratch, depth / 4, 1, 0, packed + 1, 1);
        phase->filters.matmul(&phase->filters, packed, 1, NULL,
                              output + (row * conv->output_width + column) * channels);
    }
}

void transpose_conv_s8(const transpose_conv_t *conv, const int8_t *input, int8_t *output,
                       int8_t *scratch) {
    for (int32_t row = 0; row < conv->output_height; row++) {
        const int32_t above = (row + conv->pad_top) % conv->stride_height;
        for (int32_t column = 0; column < conv->stride_width; column++) {
            const int32_t before = (column + conv->pad_left) % conv->stride_width;
            convolve_phase(conv, conv->phases + above * conv->stride_width + before, input, row,
                           column, output, scratch);
        }
    }
}
