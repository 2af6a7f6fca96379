#include "depthwise_strips_s8.h"

void depthwise_conv_2d_s8(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                          int8_t *scratch) {
    depthwise_strips_s8(conv, input, output, scratch, depthwise_plane_s8);
}
