/* Depthwise convolution in little flash: a channel at a time is copied out of the interleaved
 * tensor into a plane padded with the zero point, so that the output may replace the input. */
#include <string.h>

#include "kernels.h"
#include "requantize.h"

static void gather(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *plane) {
    for (int32_t y = 0; y < conv->input_height && y + conv->pad_top < conv->plane_height; y++) {
        int8_t *const to = plane + (y + conv->pad_top) * conv->line + conv->pad_left;
        for (int32_t x = 0; x < conv->input_width && x + conv->pad_left < conv->line; x++) {
            to[x] = input[(y * conv->input_width + x) * conv->input_channels];
        }
    }
}

static int32_t sum_window(const depthwise_conv_2d_t *conv, const int8_t *window,
                          const int8_t *weights) {
    int32_t sum = 0;
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        for (int32_t j = 0; j < conv->kernel_width; j++) {
            const int8_t x =
                window[i * conv->dilation_height * conv->line + j * conv->dilation_width];
            sum = add_wrapping(sum, x * *weights++);
        }
    }
    return sum;
}

void depthwise_conv_2d_small_s8(const depthwise_conv_2d_t *conv, const int8_t *input,
                                int8_t *output, int8_t *scratch) {
    const int32_t multiplier = conv->output_channels / conv->input_channels;
    const int32_t taps = conv->kernel_height * conv->kernel_width;
    memset(scratch, conv->input_zero_point, (size_t)(conv->plane_height * conv->line));
    for (int32_t c = 0; c < conv->output_channels; c++) {
        if (c % multiplier == 0) {
            gather(conv, input + c / multiplier, scratch);
        }
        int8_t *to = output + c;
        for (int32_t y = 0; y < conv->output_height; y++) {
            for (int32_t x = 0; x < conv->output_width; x++) {
                const int8_t *const window =
                    scratch + y * conv->stride_height * conv->line + x * conv->stride_width;
                const int32_t sum = sum_window(conv, window, conv->weights + c * taps);
                *to = requantize(add_wrapping(sum, conv->out.bias[c]), &conv->out, c);
                to += conv->output_channels;
            }
        }
    }
}
