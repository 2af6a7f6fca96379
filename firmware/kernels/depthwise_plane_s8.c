/* One channel of a depthwise convolution, plain C. */
#include "depthwise_plane_s8.h"
#include "requantize.h"

#if !KERNELS_DSP

void depthwise_plane_s8(const conv_2d_t *conv, const int8_t *plane, int32_t plane_stride,
                        const int8_t *weights, int32_t channel, int8_t *output) {
    for (int32_t y = 0; y < conv->output_height; y++) {
        for (int32_t x = 0; x < conv->output_width; x++) {
            const int8_t *const window =
                plane + y * conv->stride_height * plane_stride + x * conv->stride_width;
            uint32_t sum = 0;
            for (int32_t i = 0; i < conv->kernel_height; i++) {
                for (int32_t j = 0; j < conv->kernel_width; j++) {
                    const int8_t x =
                        window[i * conv->dilation_height * plane_stride + j * conv->dilation_width];
                    sum += (uint32_t)(x * weights[i * conv->kernel_width + j]);
                }
            }
            const int32_t total = add_wrapping((int32_t)sum, conv->out.bias[channel]);
            *output = requantize(total, &conv->out, channel);
            output += conv->output_channels;
        }
    }
}

#endif
