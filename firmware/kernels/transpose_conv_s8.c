/* Transposed convolution: output pixels of one phase, two at a time, as an ordinary convolution
 * with the taps that meet them. */
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
    const int32_t channels = conv->output_channels, step = conv->stride_width;
    const int32_t used = phase->kernel_height * phase->kernel_width * conv->input_channels;
    const int32_t depth = used > 0 ? (used + 3) & ~3 : 4;
    const int32_t from_row = (row + conv->pad_top) / conv->stride_height - phase->kernel_height + 1;
    int8_t *const pair = scratch + 2 * conv->longest;
    while (column < conv->output_width) {
        const int32_t from = (column + conv->pad_left) / step - phase->kernel_width + 1;
        int8_t *const pixel = output + (row * conv->output_width + column) * channels;
        gather_column(conv, phase, input, from_row, from, scratch, depth);
        if (column + step >= conv->output_width) {
            matmul_s8(scratch, 1, depth, phase->weights, channels, &phase->out, pixel);
            return;
        }
        gather_column(conv, phase, input, from_row, from + 1, scratch + depth, depth);
        int8_t *const into = step == 1 ? pixel : pair;
        matmul_s8(scratch, 2, depth, phase->weights, channels, &phase->out, into);
        if (step > 1) {
            memcpy(pixel, pair, (size_t)channels);
            memcpy(pixel + step * channels, pair + channels, (size_t)channels);
        }
        column += 2 * step;
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
