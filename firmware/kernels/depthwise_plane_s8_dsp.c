/* One channel of a depthwise convolution with dual 16-bit multiplications. A row of up to four taps
 * is one word, widened into its even and its odd bytes. */
#include "depthwise_plane_s8.h"
#include "dsp.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

/* Not inlined: the rare case must not take
 * registers from the common one. */
__attribute__((noinline)) static void finish(int32_t sum, const requantization_t *out,
                                             int32_t channel, int8_t *output) {
    *output = requantize(sum, out, channel);
}

/* 3x3, no dilation: all weights stay in registers; with stride 1 two outputs share every word. */
static void convolve_3x3(const conv_2d_t *conv, const int8_t *plane, int32_t line,
                         const int8_t *weights, int32_t channel, int8_t *output) {
    const requantization_t *const out = &conv->out;
    const int32_t channels = conv->output_channels;
    const int32_t width = conv->output_width, stride = conv->stride_width;
    const simple_t simple = simple_of(out, channel);
    const int32_t bias = out->bias[channel], is_simple = out->simple;
    const uint32_t even0 = sxtb16(load_word(weights));          /* w0, w2 */
    const uint32_t odd0 = sxtb16_odd(load_word(weights));       /* w1 */
    const uint32_t even1 = sxtb16(load_word(weights + 3));      /* w3, w5 */
    const uint32_t odd1 = sxtb16_odd(load_word(weights + 3));   /* w4 */
    const uint32_t even2 = sxtb16_odd(load_word(weights + 5));  /* w6, w8 */
    const uint32_t odd2 = sxtb16(load_word(weights + 5)) >> 16; /* w7 */
    for (int32_t y = 0; y < conv->output_height; y++) {
        const int8_t *row = plane + y * conv->stride_height * line;
        int32_t x = 0;
        for (; stride == 1 && x + 1 < width; x += 2) {
            uint32_t word = load_word(row);
            uint32_t x02 = sxtb16(word), x13 = sxtb16_odd(word);
            int32_t sum0 = smlabb(x13, odd0, smlad(x02, even0, bias));
            int32_t sum1 = smlatb(x02, odd0, smlad(x13, even0, bias));
            word = load_word(row + line);
            x02 = sxtb16(word), x13 = sxtb16_odd(word);
            sum0 = smlabb(x13, odd1, smlad(x02, even1, sum0));
            sum1 = smlatb(x02, odd1, smlad(x13, even1, sum1));
            word = load_word(row + 2 * line);
            x02 = sxtb16(word), x13 = sxtb16_odd(word);
            sum0 = smlabb(x13, odd2, smlad(x02, even2, sum0));
            sum1 = smlatb(x02, odd2, smlad(x13, even2, sum1));
            if (is_simple) {
                output[0] = requantize_simple(sum0, simple);
                output[channels] = requantize_simple(sum1, simple);
            } else {
                finish(sum0, out, channel, output);
                finish(sum1, out, channel, output + channels);
            }
            output += 2 * channels;
            row += 2;
        }
        for (; x < width; x++) {
            const uint32_t a = load_word(row), b = load_word(row + line);
            const uint32_t c = load_word(row + 2 * line);
            int32_t sum = smlabb(sxtb16_odd(a), odd0, smlad(sxtb16(a), even0, bias));
            sum = smlabb(sxtb16_odd(b), odd1, smlad(sxtb16(b), even1, sum));
            sum = smlabb(sxtb16_odd(c), odd2, smlad(sxtb16(c), even2, sum));
            if (is_simple) {
                *output = requantize_simple(sum, simple);
            } else {
                finish(sum, out, channel, output);
            }
            output += channels;
            row += stride;
        }
    }
}

static void convolve(const conv_2d_t *conv, const int8_t *plane, int32_t line,
                     const int8_t *weights, int32_t channel, int8_t *output) {
    const int32_t kernel = conv->kernel_width, dilation = conv->dilation_width;
    const int32_t words = dilation == 1 ? kernel / 4 : 0;
    for (int32_t y = 0; y < conv->output_height; y++) {
        const int8_t *window = plane + y * conv->stride_height * line;
        for (int32_t x = 0; x < conv->output_width; x++) {
            const int8_t *row = window, *w = weights;
            int32_t sum = conv->out.bias[channel];
            for (int32_t i = 0; i < conv->kernel_height; i++) {
                const int8_t *tap = row;
                for (int32_t j = 0; j < words; j++) {
                    const uint32_t a = load_word(tap), b = load_word(w);
                    sum = smlad(sxtb16_odd(a), sxtb16_odd(b), smlad(sxtb16(a), sxtb16(b), sum));
                    tap += 4;
                    w += 4;
                }
                for (int32_t j = 4 * words; j < kernel; j++) {
                    sum = add_wrapping(sum, *tap * *w++);
                    tap += dilation;
                }
                row += conv->dilation_height * line;
            }
            if (conv->out.simple) {
                *output = requantize_simple(sum, simple_of(&conv->out, channel));
            } else {
                finish(sum, &conv->out, channel, output);
            }
            output += conv->output_channels;
            window += conv->stride_width;
        }
    }
}

void depthwise_plane_s8(const conv_2d_t *conv, const int8_t *plane, int32_t plane_stride,
                        const int8_t *weights, int32_t channel, int8_t *output) {
    if (conv->kernel_height == 3 && conv->kernel_width == 3 && conv->dilation_height == 1 &&
        conv->dilation_width == 1) {
        convolve_3x3(conv, plane, plane_stride, weights, channel, output);
    } else {
        convolve(conv, plane, plane_stride, weights, channel, output);
    }
}

#endif
