/* Depthwise convolution, channel by channel: a channel is copied out of the interleaved tensor into
 * a plane padded with the zero point, then convolved from there. The copy costs a load and a store
 * a pixel, and buys contiguous windows, weights that stay in registers, and an output that may
 * replace the input. */
#include <string.h>

#include "depthwise_plane_s8.h"
#include "kernels.h"

static void gather_plane(const conv_2d_t *conv, const int8_t *input, int8_t *plane,
                         int32_t stride) {
    const int32_t height = depthwise_plane_height(conv);
    const int32_t channels = conv->input_channels;
    int32_t columns = stride - conv->pad_left;
    if (columns > conv->input_width) {
        columns = conv->input_width;
    }
    int32_t rows = height - conv->pad_top;
    if (rows > conv->input_height) {
        rows = conv->input_height;
    }
    for (int32_t y = 0; y < rows; y++) {
        const int8_t *from = input + y * conv->input_width * channels;
        int8_t *to = plane + (y + conv->pad_top) * stride + conv->pad_left;
        int32_t x = columns;
        for (; x >= 4; x -= 4) {
            to[0] = from[0];
            to[1] = from[channels];
            to[2] = from[2 * channels];
            to[3] = from[3 * channels];
            to += 4;
            from += 4 * channels;
        }
        for (; x > 0; x--) {
            *to++ = *from;
            from += channels;
        }
    }
}

void depthwise_conv_2d_s8(const conv_2d_t *conv, const int8_t *input, int8_t *output,
                          int8_t *scratch) {
    const int32_t stride = depthwise_plane_stride(conv);
    const int32_t multiplier = conv->output_channels / conv->input_channels;
    const int32_t taps = conv->kernel_height * conv->kernel_width;
    memset(scratch, conv->input_zero_point, (size_t)(stride * depthwise_plane_height(conv)));
    for (int32_t c = 0; c < conv->input_channels; c++) {
        gather_plane(conv, input + c, scratch, stride);
        for (int32_t m = 0; m < multiplier; m++) {
            const int32_t channel = c * multiplier + m;
            depthwise_plane_s8(conv, scratch, stride, conv->weights + channel * taps, channel,
                               output + channel);
        }
    }
}
