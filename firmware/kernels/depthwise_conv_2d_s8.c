#include "depthwise_strips_s8.h"

void depthwise_conv_2d_s8(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                          int8_t *scratch) {
#if KERNELS_DSP
    depthwise_plane_t *convolve = depthwise_plane_s8;
    if (conv->kernel_height == 3 && conv->kernel_width == 3 && conv->dilation_height == 1 &&
        conv->dilation_width == 1 && conv->stride_height == conv->stride_width &&
        (conv->out.simple || conv->out.clamped)) {
        if (conv->stride_width == 1) {
            convolve = depthwise_plane_3x3_s8;
        } else if (conv->stride_width == 2) {
            convolve = depthwise_plane_3x3_stride_2_s8;
        }
    }
    depthwise_strips_s8(conv, input, output, scratch, convolve);
    if (conv->out.clamped) {
        clamp_s8(conv->output_height * conv->output_width * conv->output_channels, conv->out.min,
                 conv->out.max, output, output);
    }
#else
    depthwise_strips_s8(conv, input, output, scratch, depthwise_plane_s8);
#endif
}
