/* Channels are copied out of the interleaved tensor into planes padded with the zero point, four at
 * a time because four lie in a word, and convolved from there, several after one copy because the
 * code of both does not fit into the flash's instruction cache. The copy costs a quarter of a load
 * and a store a byte, and buys contiguous windows, weights that stay in registers, and an output
 * that may replace the input. Tall planes are made strip by strip; rows that two strips share move
 * to the top. */
#include "depthwise_strips_s8.h"

#include <string.h>

#include "depthwise_gather_s8.h"

enum { FOUR = 4 }; /* channels in a word */

/* `rows` rows of the padded input, from its row `y` on. What is never overwritten holds the zero
 * point from the start: the columns beside the input, and the rows around it where there is but one
 * strip. */
static void gather_rows(const depthwise_conv_2d_t *conv, const int8_t *input, int32_t y,
                        int32_t rows, int8_t *to, int32_t plane, int32_t planes) {
    const int32_t line = conv->line, left = conv->pad_left, width = conv->input_width;
    if (conv->strip_height < conv->output_height &&
        (y < 0 || y + rows > conv->input_height)) { /* other strips had their rows there */
        for (int32_t k = 0; k < planes; k++) {
            memset(to + k * plane, conv->input_zero_point, (size_t)(rows * line));
        }
    }
    if (y < 0) {
        rows += y;
        to -= y * line;
        y = 0;
    }
    depthwise_gather_t gather = {.channels = conv->input_channels, .rows = conv->input_height - y};
    if (gather.rows > rows) {
        gather.rows = rows;
    }
    gather.columns = line - left < width ? line - left : width;
    if (gather.columns < 0) {
        gather.columns = 0;
    }
    gather.skip = (width - gather.columns) * gather.channels;
    gather.gap = line - gather.columns;
    const int8_t *from = input + y * width * gather.channels;
    to += left;
#if KERNELS_DSP
    for (; planes >= FOUR; planes -= FOUR) {
        depthwise_gather_four_s8(&gather, from, to, plane);
        from += FOUR;
        to += FOUR * plane;
    }
#endif
    if (planes > 0) {
        depthwise_gather_s8(&gather, from, to, plane, planes);
    }
}

/* Channels `channel` to channel + planes - 1 of the input. */
static void convolve_channels(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                              int8_t *scratch, depthwise_plane_t *convolve, int32_t channel,
                              int32_t planes) {
    const int32_t multiplier = conv->output_channels / conv->input_channels;
    const int32_t reach = (conv->kernel_height - 1) * conv->dilation_height + 1;
    const int32_t advance = conv->strip_height * conv->stride_height;
    const int32_t kept = reach > conv->stride_height ? reach - conv->stride_height : 0;
    const int32_t line = conv->line, plane = conv->plane_height * line;
    int8_t *const taps = scratch + conv->planes * plane;
    for (int32_t y = 0; y < conv->output_height; y += conv->strip_height) {
        int32_t rows = conv->output_height - y, ready = 0;
        if (rows > conv->strip_height) {
            rows = conv->strip_height;
        }
        if (y > 0) {
            ready = kept;
            for (int32_t k = 0; k < planes; k++) {
                memmove(scratch + k * plane, scratch + k * plane + advance * line,
                        (size_t)(kept * line));
            }
        }
        gather_rows(conv, input + channel, y * conv->stride_height - conv->pad_top + ready,
                    (rows - 1) * conv->stride_height + reach - ready, scratch + ready * line, plane,
                    planes);
        int8_t *const to = output + y * conv->output_width * conv->output_channels;
        int32_t made = channel * multiplier;
        for (int32_t k = 0; k < planes; k++) {
            for (int32_t m = 0; m < multiplier; m++, made++) {
                convolve(conv, scratch + k * plane, rows, made, taps, to + made);
            }
        }
    }
}

void depthwise_strips_s8(const depthwise_conv_2d_t *conv, const int8_t *input, int8_t *output,
                         int8_t *scratch, depthwise_plane_t *convolve) {
    const int32_t channels = conv->input_channels, planes = conv->planes;
    memset(scratch, conv->input_zero_point,
           (size_t)(planes * conv->plane_height * conv->line + conv->taps_bytes));
    for (int32_t channel = 0; channel < channels; channel += planes) {
        convolve_channels(conv, input, output, scratch, convolve, channel,
                          planes < channels - channel ? planes : channels - channel);
    }
#if KERNELS_DSP
    if (conv->out.clamped) {
        clamp_s8(conv->output_height * conv->output_width * conv->output_channels, conv->out.min,
                 conv->out.max, output, output);
    }
#endif
}
