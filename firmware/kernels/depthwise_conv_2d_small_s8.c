/* Depthwise convolution in little flash: a channel at a time is copied out of the interleaved
 * tensor into a plane padded with the zero point, so that the output may replace the input. */
#include <string.h>

#include "kernels.h"
#include "requantize.h"

static void gather(const depthwise_conv_2d_t *conv, const int8_t *from, int8_t *plane) {
    for (int32_t y = conv->pad_top; y < conv->pad_top + conv->input_height; y++) {
        for (int32_t x = conv->pad_left; x < conv->pad_left + conv->input_width; x++) {
            if (y < conv->plane_height && x < conv->line) {
                plane[y * conv->line + x] = *from;
            }
            from += conv->input_channels;
        }
    }
}

void depthwise_conv_2d_small_s8(const depthwise_conv_2d_t *conv, const int8_t *input,
                                int8_t *output, int8_t *scratch) {
    const int32_t multiplier = conv->output_channels / conv->input_channels;
    const int32_t width = conv->kernel_width, spread = conv->dilation_width;
    const int32_t row_step = conv->dilation_height * conv->line - width * spread;
    const int8_t *weights = conv->weights;
    memset(scratch, conv->input_zero_point, (size_t)(conv->plane_height * conv->line));
    for (int32_t c = 0; c < conv->output_channels; c++) {
        if (c % multiplier == 0) {
            gather(conv, input + c / multiplier, scratch);
        }
        const int8_t *w = weights;
        int8_t *to = output + c;
        for (int32_t y = 0; y < conv->output_height; y++) {
            for (int32_t x = 0; x < conv->output_width; x++) {
                const int8_t *tap =
                    scratch + y * conv->stride_height * conv->line + x * conv->stride_width;
                int32_t sum = conv->out.bias[c];
                w = weights;
                for (int32_t i = conv->kernel_height; i > 0; i--) {
                    for (int32_t j = width; j > 0; j--) {
                        sum = add_wrapping(sum, *tap * *w++);
                        tap += spread;
                    }
                    tap += row_step;
                }
                *to = requantize(sum, &conv->out, c);
                to += conv->output_channels;
            }
        }
        weights = w;
    }
}
