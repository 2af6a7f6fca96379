/* Pooling. */
#ifndef HILNAS_POOLING_H
#define HILNAS_POOLING_H

#include <stdint.h>

typedef struct {
    int32_t input_height, input_width, channels;
    int32_t output_height, output_width;
    int32_t window_height, window_width;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t min, max;
} pool_2d_t;

/* Pixels are written upwards, and so are the channels of each, after their window was read: the end
 * of output may lie over the beginning of input as far as harness/kernels.py says. */
void average_pool_2d_s8(const pool_2d_t *pool, const int8_t *input, int8_t *output);
void max_pool_2d_s8(const pool_2d_t *pool, const int8_t *input, int8_t *output);

#endif
