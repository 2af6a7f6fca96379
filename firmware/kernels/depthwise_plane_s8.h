/* One channel of a depthwise convolution: `rows` rows of output from a padded plane of the input to
 * every output_channels-th byte. taps: taps_bytes of memory. */
#ifndef HILNAS_DEPTHWISE_PLANE_S8_H
#define HILNAS_DEPTHWISE_PLANE_S8_H

#include "kernels.h"

typedef void depthwise_plane_t(const depthwise_conv_2d_t *conv, const int8_t *plane, int32_t rows,
                               int32_t channel, int8_t *taps, int8_t *output);

/* Any convolution. With out->clamped, what these functions make may be saturated instead. */
depthwise_plane_t depthwise_plane_s8;

#if KERNELS_DSP

/* 3x3 without dilation, out->simple or out->clamped. Stride 1 and at least two rows; stride 2 and
 * at least two outputs in a row. */
depthwise_plane_t depthwise_plane_3x3_s8, depthwise_plane_3x3_stride_2_s8;

#endif
#endif
