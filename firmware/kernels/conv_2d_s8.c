/* Convolution: columns of two output pixels are gathered, then multiplied with all filters at once.
 * A 1x1 kernel multiplies the input as it lies. */
#include <string.h>

#include "kernels.h"

/* One output pixel's window as a row of the matrix; what lies outside is the zero point. */
static void gather_column(const conv_2d_t *conv, const int8_t *input, int32_t row, int32_t column,
                          int8_t *into, int32_t depth) {
    const int32_t channels = conv->input_channels;
    const int32_t line = conv->kernel_width * channels;
    const int32_t left = column * conv->stride_width - conv->pad_left;
    int8_t *const end = into + depth;
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        const int32_t y = row * conv->stride_height - conv->pad_top + i * conv->dilation_height;
        if (y < 0 || y >= conv->input_height) {
            memset(into, conv->input_zero_point, (size_t)line);
            into += line;
            continue;
        }
        const int8_t *const from = input + y * conv->input_width * channels;
        if (conv->dilation_width == 1 && left >= 0 &&
            left + conv->kernel_width <= conv->input_width) {
            memcpy(into, from + left * channels, (size_t)line);
            into += line;
            continue;
        }
        for (int32_t j = 0; j < conv->kernel_width; j++) {
            const int32_t x = left + j * conv->dilation_width;
            if (x < 0 || x >= conv->input_width) {
                memset(into, conv->input_zero_point, (size_t)channels);
            } else {
                memcpy(into, from + x * channels, (size_t)channels);
            }
            into += channels;
        }
    }
    while (into < end) { /* against zero weights; written so that the arena's use is exact */
        *into++ = 0;
    }
}

/* Two filters at a time over all pixels: each weight leaves the flash once. */
static void convolve_1x1(const conv_2d_t *conv, int32_t pixels, const int8_t *input, int8_t *output,
                         int8_t *scratch) {
    const int32_t depth = conv->input_channels, channels = conv->output_channels;
    if (pixels <= 2) {
        matmul_s8(input, pixels, depth, conv->weights, channels, &conv->out, output);
        return;
    }
    for (int32_t c = 0; c < channels; c += 2) {
        const int32_t count = c + 1 < channels ? 2 : 1;
        memcpy(scratch, conv->weights + c * depth, (size_t)(count * depth));
        filter_pair_s8(input, pixels, depth, scratch, c, count, &conv->out, output + c, channels);
    }
}

void conv_2d_s8(const conv_2d_t *conv, const int8_t *input, int8_t *output, int8_t *scratch) {
    const int32_t pixels = conv->output_height * conv->output_width;
    const int32_t depth = conv->kernel_height * conv->kernel_width * conv->input_channels;
    const int32_t padded = (depth + 3) & ~3;
    const int32_t channels = conv->output_channels;
    if (conv->kernel_height == 1 && conv->kernel_width == 1 && conv->stride_height == 1 &&
        conv->stride_width == 1 && padded == depth) {
        convolve_1x1(conv, pixels, input, output, scratch);
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
        matmul_s8(scratch, gathered, padded, conv->weights, channels, &conv->out, output);
        output += gathered * channels;
        done += gathered;
    }
}
