/* Depthwise convolution of int16, pixel by pixel over the part of the window that lies in the
 * input. Every pixel reads all weights, so that they are copied out of the flash first. */
#include <string.h>

#include "kernels.h"
#include "requantize_s16.h"

/* The taps of one output pixel that lie in the input, and the input pixel of the first of them. */
typedef struct {
    int32_t rows, columns;
    const int16_t *input;
    const int8_t *weights;
    int32_t line, step;                 /* from tap to tap in the input, down and to the right */
    int32_t weights_line, weights_step; /* the same in the weights */
} window_t;

/* How many of `taps` taps `dilation` apart, the first at `origin`, lie below 0, and how many of the
 * rest lie below `size`. */
static void clip(int32_t origin, int32_t taps, int32_t dilation, int32_t size, int32_t *first,
                 int32_t *count) {
    *first = origin < 0 ? (dilation - 1 - origin) / dilation : 0;
    const int32_t reach = size > origin ? (size - origin + dilation - 1) / dilation : 0;
    const int32_t end = reach < taps ? reach : taps;
    *count = end > *first ? end - *first : 0;
}

static window_t window_of(const conv_2d_s16_t *conv, const int16_t *input, const int8_t *weights,
                          int32_t row, int32_t column) {
    const int32_t top = row * conv->stride_height - conv->pad_top;
    const int32_t left = column * conv->stride_width - conv->pad_left;
    const int32_t line = conv->input_width * conv->input_channels;
    const int32_t weights_step = (conv->output_channels + 3) & ~3;
    window_t window = {.line = conv->dilation_height * line,
                       .step = conv->dilation_width * conv->input_channels,
                       .weights_line = conv->kernel_width * weights_step,
                       .weights_step = weights_step};
    int32_t y, x;
    clip(top, conv->kernel_height, conv->dilation_height, conv->input_height, &y, &window.rows);
    clip(left, conv->kernel_width, conv->dilation_width, conv->input_width, &x, &window.columns);
    window.input = input + (top + y * conv->dilation_height) * line +
                   (left + x * conv->dilation_width) * conv->input_channels;
    window.weights = weights + y * window.weights_line + x * weights_step;
    return window;
}

/* One channel; `from` and `weights` are its first tap's. */
static int64_t convolve(const window_t *window, const int16_t *from, const int8_t *weights) {
    int64_t sum = 0;
    for (int32_t i = 0; i < window->rows; i++) {
        for (int32_t j = 0; j < window->columns; j++) {
            sum += from[j * window->step] * weights[j * window->weights_step];
        }
        from += window->line;
        weights += window->weights_line;
    }
    return sum;
}

#if KERNELS_DSP

/* Four channels side by side, in 32 bits. */
static void convolve_four(const window_t *window, const int16_t *from, const int8_t *weights,
                          const requantization_s16_t *out, int32_t channel, int16_t *output) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t i = 0; i < window->rows; i++) {
        const int16_t *x = from;
        const int8_t *w = weights;
        for (int32_t j = window->columns; j > 0; j--) {
            const uint32_t x01 = load_halves(x), x23 = load_halves(x + 2);
            const uint32_t word = load_word(w);
            const uint32_t w01 = sxtb16(word), w23 = sxtb16_odd(word);
            s0 = smlabb(x01, w01, s0);
            s1 = smlatt(x01, w01, s1);
            s2 = smlabb(x23, w23, s2);
            s3 = smlatt(x23, w23, s3);
            x += window->step;
            w += window->weights_step;
        }
        from += window->line;
        weights += window->weights_line;
    }
    if (out->sums == SUMS_FIT) {
        output[0] = requantize_fitting(s0, fitting_of(out, channel));
        output[1] = requantize_fitting(s1, fitting_of(out, channel + 1));
        output[2] = requantize_fitting(s2, fitting_of(out, channel + 2));
        output[3] = requantize_fitting(s3, fitting_of(out, channel + 3));
        return;
    }
    const int32_t sums[] = {s0, s1, s2, s3};
    for (int32_t i = 0; i < 4; i++) {
        output[i] = requantize_s16(sums[i], out, channel + i);
    }
}

#endif

void depthwise_conv_2d_s16(const conv_2d_s16_t *conv, const int16_t *input, int16_t *output,
                           int8_t *scratch) {
    const int32_t channels = conv->output_channels;
    const int32_t taps = conv->kernel_height * conv->kernel_width;
    memcpy(scratch, conv->filters.weights, (size_t)(taps * ((channels + 3) & ~3)));
    const int32_t multiplier = channels / conv->input_channels;
    for (int32_t row = 0; row < conv->output_height; row++) {
        for (int32_t column = 0; column < conv->output_width; column++) {
            const window_t window = window_of(conv, input, scratch, row, column);
            int32_t c = 0;
#if KERNELS_DSP
            if (multiplier == 1 && taps <= PRODUCTS_IN_INT32) {
                for (; c + 4 <= channels; c += 4) {
                    convolve_four(&window, window.input + c, window.weights + c, &conv->filters.out,
                                  c, output + c);
                }
            }
#endif
            for (; c < channels; c++) {
                const int32_t swapped = (c & ~3) + ((c & 1) << 1) + (c >> 1 & 1);
                const int64_t sum =
                    convolve(&window, window.input + c / multiplier, window.weights + swapped);
                output[c] = requantize_s16(sum, &conv->filters.out, c);
            }
            output += channels;
        }
    }
}
