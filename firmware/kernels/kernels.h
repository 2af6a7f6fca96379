/* int8 operators. Tensors are NHWC with a batch of one; every function reads its parameters from a
 * constant table that is computed when the model is generated, and writes nothing but its output
 * and its scratch memory. Bit-exact with the TensorFlow Lite Micro reference kernels.
 *
 * Folded biases: bias[c] already contains -input_zero_point * sum(weights of c), so kernels
 * multiply raw inputs and pad with the input's zero point. */
#ifndef HILNAS_KERNELS_H
#define HILNAS_KERNELS_H

#include <stdint.h>

#include "variant.h"

/* Accumulator of channel c -> int8: clamp(rescale(acc, multiplier[c * step], shift[c * step]) +
 * zero_point, min, max). step is 1 for per-channel tables and 0 for a single entry. simple is 1
 * where every shift is negative, no accumulator can reach 2^30 and the clamp is int8's range. */
typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t step;
    int32_t simple;
    int32_t zero_point;
    int32_t min;
    int32_t max;
} requantization_t;

/* Filters of the matrix product, [channels][depth], depth % 4 == 0, lie in pairs: four bytes of
 * channel 2i, the same four of channel 2i + 1, the next four of channel 2i, ...; an odd last
 * channel lies plainly. */

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
 * aligned. */
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

typedef struct {
    int32_t rows, depth, channels;
    const int8_t *weights;
    requantization_t out;
} fully_connected_t;

/* weights: [channels][depth rounded up to 4] in pairs, rest zero. scratch: depth rounded up to 4
 * bytes where depth % 4 != 0, else unused. input and scratch are 4-byte aligned. */
void fully_connected_s8(const fully_connected_t *layer, const int8_t *input, int8_t *output,
                        int8_t *scratch);

/* output[p][c] = requantized dot product of columns[p] and weights[c], which lie in pairs; depth %
 * 4
 * == 0, everything 4-byte aligned. */
void matmul_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
               int32_t channels, const requantization_t *out, int8_t *output);

/* The same for `count` filters (1 or 2, in pairs) of which the first is channel `channel`, and any
 * number of columns; output is that channel of the first pixel, `pitch` bytes before the next. */
void filter_pair_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
                    int32_t channel, int32_t count, const requantization_t *out, int8_t *output,
                    int32_t pitch);

typedef struct {
    int32_t count;
    int32_t zero_point_1, multiplier_1, shift_1;
    int32_t zero_point_2, multiplier_2, shift_2;
    int32_t zero_point, multiplier, shift;
    int32_t min, max;
} add_t;

/* output may be either input. */
void add_s8(const add_t *add, const int8_t *input_1, const int8_t *input_2, int8_t *output);

typedef struct {
    int32_t input_height, input_width, channels;
    int32_t output_height, output_width;
    int32_t window_height, window_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t min, max;
} pool_2d_t;

void average_pool_2d_s8(const pool_2d_t *pool, const int8_t *input, int8_t *output);
void max_pool_2d_s8(const pool_2d_t *pool, const int8_t *input, int8_t *output);

typedef struct {
    int32_t input[4];  /* sizes, leading axes 1 */
    int32_t before[4]; /* padding in front of each axis */
    int32_t output[4];
    int32_t value;
} pad_t;

void pad_s8(const pad_t *pad, const int8_t *input, int8_t *output);

typedef struct {
    int32_t outer, count, inner; /* [outer][count][inner] -> [outer][inner] */
    int32_t input_zero_point;
    int32_t multiplier, shift; /* 1 / count included */
    int32_t zero_point;
} mean_t;

void mean_s8(const mean_t *mean, const int8_t *input, int8_t *output);

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;
    int32_t lowest_difference; /* below it exp() is taken as 0 */
} softmax_t;

/* output may be the input. */
void softmax_s8(const softmax_t *softmax, const int8_t *input, int8_t *output);

typedef struct {
    int32_t count;
    int32_t input_zero_point;
    int32_t multiplier, shift;
    int32_t zero_point;
    int32_t min, max;
} rescale_t;

/* QUANTIZE from int8 and RELU. output may be the input. */
void rescale_s8(const rescale_t *rescaling, const int8_t *input, int8_t *output);

/* RELU6 and every other clamp without a change of scale. output may be the input. */
void clamp_s8(int32_t count, int32_t min, int32_t max, const int8_t *input, int8_t *output);

/* Values outside int32 and NaN saturate; TFLite leaves them undefined. */
void quantize_f32(int32_t count, float scale, int32_t zero_point, const float *input,
                  int8_t *output);
void dequantize_s8(int32_t count, double scale, int32_t zero_point, const int8_t *input,
                   float *output);

#endif
