/* Convolutions. */
#ifndef HILNAS_CONVOLUTION_H
#define HILNAS_CONVOLUTION_H

#include <stdint.h>

#include "requantization.h"

typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_zero_point;
    const int8_t *weights;
    requantization_t out;
} conv_2d_t;

/* weights: [output_channels][depth rounded up to 4] in pairs, rest zero, depth = kernel_height *
 * kernel_width * input_channels. scratch holds min(2, output pixels) columns of the rounded depth.
 * A 1x1 kernel with stride 1 and input_channels % 4 == 0 gathers no columns: scratch holds min(2,
 * output_channels) filters, or nothing with two output pixels or less. input and scratch are 4-byte
 * aligned.
 *
 * Where columns are gathered, pixels are written upwards, each after its column and all before it
 * were gathered: the end of output may lie over the beginning of input as far as
 * harness/kernels.py says. */
void conv_2d_s8(const conv_2d_t *conv, const int8_t *input, int8_t *output, int8_t *scratch);

/* weights: [output_channels][kernel_height][kernel_width]; output channel c reads input channel
 * c / (output_channels / input_channels). scratch holds one padded channel of the input:
 * depthwise_plane_* below. With as many output as input channels and no more output than input
 * pixels, output may be the input: a channel is copied before it is overwritten. */
void depthwise_conv_2d_s8(const conv_2d_t *conv, const int8_t *input, int8_t *output,
                          int8_t *scratch);

/* Every row of the padded channel has room for reading the last window's words to their end. */
static inline int32_t depthwise_plane_stride(const conv_2d_t *conv) {
    const int32_t last = (conv->output_width - 1) * conv->stride_width;
    const int32_t reach = (conv->kernel_width - 1) * conv->dilation_width + 1;
    return last + ((reach + 3) & ~3) + ((4 - (last & 3)) & 3);
}

static inline int32_t depthwise_plane_height(const conv_2d_t *conv) {
    return (conv->output_height - 1) * conv->stride_height +
           (conv->kernel_height - 1) * conv->dilation_height + 1;
}

#endif
