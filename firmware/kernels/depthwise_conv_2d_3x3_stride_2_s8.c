#include "depthwise_strips_s8.h"

void depthwise_conv_2d_3x3_stride_2_s8(const depthwise_conv_2d_t *conv, const int8_t *input,
                                       int8_t *output, int8_t *scratch) {
#if KERNELS_DSP
    depthwise_strips_s8(conv, input, output, scratch, depthwise_plane_3x3_stride_2_s8);
#else
    depthwise_strips_s8(conv, input, output, scratch, depthwise_plane_s8);
#endif
}
