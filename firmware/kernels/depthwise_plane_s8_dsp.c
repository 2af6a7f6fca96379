/* One channel of any depthwise convolution with dual 16-bit multiplications. A row of up to four
 * taps is one word, widened into its even and its odd bytes. */
#include "depthwise_plane_s8.h"
#include "dsp.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

/* Not inlined: the rare case must not take registers from the common one. */
__attribute__((noinline)) static void finish(int32_t sum, const requantization_t *out,
                                             int32_t channel, int8_t *output) {
    *output = requantize(sum, out, channel);
}

void depthwise_plane_s8(const depthwise_conv_2d_t *conv, const int8_t *plane, int32_t rows,
                        int32_t channel, int8_t *output) {
    const int8_t *const weights =
        conv->weights + channel * conv->kernel_height * conv->kernel_width;
    const int32_t kernel = conv->kernel_width, dilation = conv->dilation_width;
    const int32_t words = dilation == 1 ? kernel / 4 : 0;
    const int32_t is_simple = conv->out.simple || conv->out.clamped;
    const simple_t simple = is_simple ? simple_of(&conv->out, channel) : (simple_t){0};
    for (int32_t y = 0; y < rows; y++) {
        const int8_t *window = plane + y * conv->stride_height * conv->line;
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
                row += conv->dilation_height * conv->line;
            }
            if (is_simple) {
                *output = requantize_simple(sum, simple);
            } else {
                finish(sum, &conv->out, channel, output);
            }
            output += conv->output_channels;
            window += conv->stride_width;
        }
    }
}

#endif
