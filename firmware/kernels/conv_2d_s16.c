/* Convolution of int16: columns of two output pixels are gathered, then multiplied with all filters
 * at once. A 1x1 kernel multiplies the input as it lies. */
#include <string.h>

#include "kernels.h"

/* One output pixel's window as a row of the matrix; what lies outside is zero. */
static void gather_column(const conv_2d_s16_t *conv, const int16_t *input, int32_t row,
                          int32_t column, int16_t *into, int32_t depth) {
    const int32_t channels = conv->input_channels;
    const int32_t line = conv->kernel_width * channels;
    const int32_t left = column * conv->stride_width - conv->pad_left;
    int16_t *const end = into + depth;
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        const int32_t y = row * conv->stride_height - conv->pad_top + i * conv->dilation_height;
        const int16_t *const from = input + y * conv->input_width * channels;
        if (y < 0 || y >= conv->input_height) {
            memset(into, 0, (size_t)line * sizeof *into);
        } else if (conv->dilation_width == 1 && left >= 0 &&
                   left + conv->kernel_width <= conv->input_width) {
            memcpy(into, from + left * channels, (size_t)line * sizeof *into);
        } else {
            for (int32_t j = 0; j < conv->kernel_width; j++) {
                const int32_t x = left + j * conv->dilation_width;
                if (x < 0 || x >= conv->input_width) {
                    memset(into + j * channels, 0, (size_t)channels * sizeof *into);
                } else {
                    memcpy(into + j * channels, from + x * channels,
                           (size_t)channels * sizeof *into);
                }
            }
        }
        into += line;
    }
    while (into < end) { /* against zero weights */
        *into++ = 0;
    }
}

void conv_2d_s16(const conv_2d_s16_t *conv, const int16_t *input, int16_t *output,
                 int16_t *scratch) {
    const int32_t pixels = conv->output_height * conv->output_width;
    const int32_t depth = conv->kernel_height * conv->kernel_width * conv->input_channels;
    const int32_t padded = (depth + 3) & ~3;
    const int32_t channels = conv->output_channels;
    if (conv->kernel_height == 1 && conv->kernel_width == 1 && conv->stride_height == 1 &&
        conv->stride_width == 1 && padded == depth) {
        matmul_s16(input, pixels, depth, conv->weights, channels, &conv->out, output);
        return;
    }
    int32_t row = 0, column = 0;
    for (int32_t done = 0; done < pixels;) {
        int32_t gathered = 0;
        for (; gathered < 2 && done + gathered < pixels; gathered++) {
            gather_column(conv, input, row, column, scratch + gathered * padded, padded);
            if (++column == conv->output_width) {
                column = 0;
                row++;
            }
        }
        matmul_s16(scratch, gathered, padded, conv->weights, channels, &conv->out, output);
        output += gathered * channels;
        done += gathered;
    }
}
