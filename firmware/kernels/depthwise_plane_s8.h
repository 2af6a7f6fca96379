/* One channel of a depthwise convolution, from a padded plane to every output_channels-th byte. */
#ifndef HILNAS_DEPTHWISE_PLANE_S8_H
#define HILNAS_DEPTHWISE_PLANE_S8_H

#include "kernels.h"

void depthwise_plane_s8(const conv_2d_t *conv, const int8_t *plane, int32_t plane_stride,
                        const int8_t *weights, int32_t channel, int8_t *output);

#endif
