/* Convolutions. */
#ifndef HILNAS_CONVOLUTION_H
#define HILNAS_CONVOLUTION_H

#include <stdint.h>

#include "matmul.h"
#include "requantization.h"

/* CONV_2D. A window's rows of kernel_width * input_channels values are rounded up to 4, with zero
 * weights behind; filters.depth is that times kernel_height. block: output pixels that are packed
 * at once, a multiple of 4 unless it is all of them. buffer_words: where filters are copied to, all
 * at first or, if these are more words, a record (rounded up to 8 words) for each block; or 0.
 * line_bytes: a rounded row, where it has gaps or taps of no whole words, else 0. */
typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_zero_point;
    int32_t block, buffer_words, line_bytes;
    filters_t filters;
} conv_2d_t;

/* scratch, 4-byte aligned: line_bytes, buffer_words, packed columns of a block.
 *
 * Blocks are written upwards, each after its columns and all before it were packed: the end of
 * output may lie over the beginning of input as far as harness/kernels.py says. */
void conv_2d_s8(const conv_2d_t *conv, const int8_t *input, int8_t *output, int8_t *scratch);

/* line: bytes from one row of a padded channel to the next, a multiple of 4 with room for reading
 * the last window's words to their end. strip_height: output rows made at a time, for which
 * plane_height rows of padded input are needed. planes: channels gathered at a time. taps_bytes:
 * memory for one channel's weights as depthwise_plane_s8_dsp.c reads them, or in less flash
 * depthwise_conv_2d_small_s8.c. */
typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_top, pad_left;
    int32_t input_zero_point;
    int32_t line, plane_height, strip_height, planes, taps_bytes;
    const int8_t *weights;
    requantization_t out;
} depthwise_conv_2d_t;

/* weights: [output_channels][kernel_height][kernel_width]; output channel c reads input channel
 * c / (output_channels / input_channels). scratch, 4-byte aligned, holds `planes` times
 * plane_height lines and taps_bytes. With as many output as input channels, output may be the input
 * where the rows that a strip has read end behind the pixels that it writes: what a strip needs of
 * the rows before it is kept in scratch. */
void depthwise_conv_2d_s8(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                          int8_t *scratch);

/* The same for what depthwise_plane_s8.h says of them. */
void depthwise_conv_2d_3x3_s8(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void depthwise_conv_2d_3x3_stride_2_s8(const depthwise_conv_2d_t *conv, const int8_t *input,
                                       int8_t *output, int8_t *scratch);

/* The same in less flash and more time, for one plane and one strip. */
void depthwise_conv_2d_small_s8(const depthwise_conv_2d_t *conv, const int8_t *input,
                                int8_t *output, int8_t *scratch);

/* A transposed convolution is an ordinary one of stride 1 for each phase, an output pixel's place
 * modulo the stride: the taps that meet it lie `stride` apart. */
typedef struct {
    int32_t kernel_height, kernel_width; /* taps, 0 where the stride is larger than the kernel */
    filters_t filters;                   /* their depth is at least 4 */
} transpose_conv_phase_t;

/* phases: [stride_height][stride_width]. longest: bytes of the longest column, a multiple of 4. */
typedef struct {
    int32_t input_height, input_width, input_channels;
    int32_t output_height, output_width, output_channels;
    int32_t stride_height, stride_width;
    int32_t pad_top, pad_left;
    int32_t input_zero_point;
    int32_t longest;
    const transpose_conv_phase_t *phases;
} transpose_conv_t;

/* filters of a phase: rounded up to 4 with zeros, taps of later input pixels behind. scratch holds
 * `longest` bytes and a packed column of them; it is 4-byte aligned. */
void transpose_conv_s8(const transpose_conv_t *conv, const int8_t *input, int8_t *output,
                       int8_t *scratch);

#endif
