/* int16 activations with int8 weights ("16x8"). Every zero point is 0, so that biases need no
 * folding and padding is zero. The structs of the int8 operators serve where they fit; sizes are
 * counted in elements. */
#ifndef HILNAS_INT16_H
#define HILNAS_INT16_H

#include <stdint.h>

#include "pooling.h"
#include "reduction.h"

/* How an accumulator becomes an int16. The reference adds up in 64 bits and multiplies with 16, or,
 * where the biases are int32, adds up in 32 bits that wrap and rounds twice as int8 does. */
typedef enum {
    SUMS_FIT,  /* as SUMS_WIDE, where no sum leaves int32: (sum * multiplier + 2^31) >> 32 */
    SUMS_WIDE, /* (sum * multiplier + 2^(shift - 1)) >> shift, 8 <= shift <= 46 */
    SUMS_WRAP, /* rescale(sum, multiplier, shift) of requantize.h */
} accumulation_t;

/* Entry c * step of multiplier and shift belongs to channel c. wide_bias instead of bias where
 * SUMS_WIDE. */
typedef struct {
    accumulation_t sums;
    const int32_t *bias;
    const int64_t *wide_bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t step;
    int32_t min, max;
} requantization_s16_t;

/* Filters, [channels][depth], lie in pairs, an odd last one with a zero filter beside it: for each
 * two of depth, rounded up to 2 with zero weights, the first filter's at bytes 0 and 2 and the
 * second's at 1 and 3, as SXTB16 takes them. */
typedef struct {
    const int8_t *weights;
    int32_t depth, channels; /* depth % 2 == 0 */
    requantization_s16_t out;
} filters_s16_t;

/* weights of a depthwise convolution: [kernel_height][kernel_width][output_channels rounded up to
 * 4], rest zero, every four of them in the order 0 2 1 3. */
typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    filters_s16_t filters;
} conv_2d_s16_t;

typedef struct {
    int32_t rows, depth;
    filters_s16_t filters;
} fully_connected_s16_t;

typedef struct {
    int32_t count;
    int32_t multiplier_1, shift_1;
    int32_t multiplier_2, shift_2;
    int32_t multiplier, shift;
    int32_t min, max;
} add_s16_t;

typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift;
    const int16_t *exp;        /* of -10 .. 0, 513 samples */
    const int16_t *reciprocal; /* 1 / (1 + x) of 0 .. 1, 513 samples */
} softmax_s16_t;

/* output[p][c] = requantized dot product of column p and filter c for `pixels` columns. A group of
 * 4 of them, or of 1, lies side by side: for each two of depth, two values of each; 4-byte aligned.
 */
void matmul_s16(const filters_s16_t *filters, const int16_t *columns, int32_t group, int32_t pixels,
                int16_t *output);

/* scratch holds a group of columns of the filters' depth: 4, or 1 of a single output pixel. The end
 * of output may lie over the beginning of input as far as harness/kernels.py says: columns are
 * gathered upwards, before anything is written to what comes after them. */
void conv_2d_s16(const conv_2d_s16_t *conv, const int16_t *input, int16_t *output,
                 int16_t *scratch);

/* Output channel c reads input channel c / (output_channels / input_channels). Pixels, and the
 * channels of each, are written upwards after they were read: the end of output may lie over the
 * beginning of input as far as harness/kernels.py says. scratch holds the weights. */
void depthwise_conv_2d_s16(const conv_2d_s16_t *conv, const int16_t *input, int16_t *output,
                           int8_t *scratch);

/* scratch: one row of the filters' depth where depth % 2 != 0, else unused. */
void fully_connected_s16(const fully_connected_s16_t *layer, const int16_t *input, int16_t *output,
                         int16_t *scratch);

/* All below write elements upwards, each after it was read for the last time: output may be the
 * input or begin below it; that of pooling may lie over the beginning of input as far as
 * harness/kernels.py says. */

void add_s16(const add_s16_t *add, const int16_t *input_1, const int16_t *input_2, int16_t *output);
void clamp_s16(int32_t count, int32_t min, int32_t max, const int16_t *input, int16_t *output);
void reduce_sum_s16(const reduce_sum_t *reduce, const int16_t *input, int16_t *output);
void softmax_s16(const softmax_s16_t *softmax, const int16_t *input, int16_t *output);

void average_pool_2d_s16(const pool_2d_t *pool, const int16_t *input, int16_t *output);
void max_pool_2d_s16(const pool_2d_t *pool, const int16_t *input, int16_t *output);

#endif
