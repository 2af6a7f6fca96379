/* One channel of a depthwise convolution, plain C. */
#include "depthwise_plane_s8.h"
#include "requantize.h"

#if !KERNELS_DSP

void depthwise_plane_s8(const depthwise_conv_2d_t *conv, const int8_t *plane, int32_t rows,
                        int32_t channel, int8_t *taps, int8_t *output) {
    const int8_t *const weights =
        conv->weights + channel * conv->kernel_height * conv->kernel_width;
    (void)taps;
    for (int32_t y = 0; y < rows; y++) {
        const int8_t *window = plane + y * conv->stride_height * conv->line;
        for (int32_t x = 0; x < conv->output_width; x++) {
            const int8_t *row = window, *w = weights;
            int32_t sum = conv->out.bias[channel];
            for (int32_t i = 0; i < conv->kernel_height; i++) {
                for (int32_t j = 0; j < conv->kernel_width; j++) {
                    sum = add_wrapping(sum, row[j * conv->dilation_width] * *w++);
                }
                row += conv->dilation_height * conv->line;
            }
            *output = requantize(sum, &conv->out, channel);
            output += conv->output_channels;
            window += conv->stride_width;
        }
    }
}

#endif
