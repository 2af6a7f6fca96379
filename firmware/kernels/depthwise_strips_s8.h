/* The walk of every depthwise convolution: planes of a few channels, strip by strip. */
#ifndef HILNAS_DEPTHWISE_STRIPS_S8_H
#define HILNAS_DEPTHWISE_STRIPS_S8_H

#include "depthwise_plane_s8.h"

void depthwise_strips_s8(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                         int8_t *scratch, depthwise_plane_t *convolve);

#endif
