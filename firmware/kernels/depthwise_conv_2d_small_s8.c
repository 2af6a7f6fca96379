/* Depthwise convolution in little flash: a channel at a time is copied out of the interleaved
 * tensor into a plane padded with the zero point, so that the output may replace the input. Two
 * windows side by side are multiplied at once, by words of the plane that meet any weight. */
#include <string.h>

#include "dsp.h"
#include "kernels.h"
#include "requantize_dsp.h"

/* Weights for the even and the odd bytes of a word, and where it lies in a window. */
typedef struct {
    int16_t even[2], odd[2];
    int32_t offset;
} tap_t;

/* The weights of a channel; returns their end. */
static const tap_t *make_taps(const depthwise_conv_2d_t *conv, const int8_t *weights, tap_t *taps) {
    int32_t last = -1;
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        int32_t at = i * conv->dilation_height * conv->line;
        for (int32_t j = conv->kernel_width; j > 0; j--) {
            if ((at & ~3) != last) {
                last = at & ~3;
                *taps++ = (tap_t){.offset = last};
            }
            (at & 1 ? taps[-1].odd : taps[-1].even)[at >> 1 & 1] = *weights++;
            at += conv->dilation_width;
        }
    }
    return taps;
}

static void gather(const depthwise_conv_2d_t *conv, const int8_t *from, int8_t *plane) {
    const int32_t line = conv->line, width = conv->input_width, channels = conv->input_channels;
    int32_t columns = line - conv->pad_left, rows = conv->plane_height - conv->pad_top;
    columns = clamp(columns, 0, width);
    rows = rows < conv->input_height ? rows : conv->input_height;
    int8_t *to = plane + conv->pad_top * line + conv->pad_left;
    for (; rows > 0; rows--) {
        for (int32_t x = columns; x > 0; x--) {
            *to++ = *from;
            from += channels;
        }
        to += line - columns;
        from += (width - columns) * channels;
    }
}

/* Sums of the windows at `first` and `second`. */
static inline void sum_two(const tap_t *tap, const tap_t *end, const int8_t *first,
                           const int8_t *second, int32_t *sums) {
    int32_t a = sums[0], b = a;
    do {
        const uint32_t even = load_halves(tap->even), odd = load_halves(tap->odd);
        const uint32_t x = load_word(first + tap->offset), y = load_word(second + tap->offset);
        a = smlad(sxtb16_odd(x), odd, smlad(sxtb16(x), even, a));
        b = smlad(sxtb16_odd(y), odd, smlad(sxtb16(y), even, b));
    } while (++tap != end);
    sums[0] = a;
    sums[1] = b;
}

/* Not inlined: the rare case must not take the registers of the other one. */
__attribute__((noinline)) static int8_t finish_rare(const requantization_t *out, int32_t channel,
                                                    int32_t sum) {
    return requantize(sum, out, channel);
}

void depthwise_conv_2d_small_s8(const depthwise_conv_2d_t *conv, const int8_t *input,
                                int8_t *output, int8_t *scratch) {
    const int32_t multiplier = conv->output_channels / conv->input_channels;
    const int32_t width = conv->output_width, pitch = conv->output_channels;
    const int32_t stride = conv->stride_width, plane_bytes = conv->plane_height * conv->line;
    tap_t *const taps = (tap_t *)(void *)(scratch + plane_bytes);
    const int8_t *weights = conv->weights;
    const requantization_t *const out = &conv->out;
    const int32_t is_short = out->simple || out->clamped;
    memset(scratch, conv->input_zero_point, (size_t)plane_bytes);
    for (int32_t c = 0; c < pitch; c++) {
        if (c % multiplier == 0) {
            gather(conv, input + c / multiplier, scratch);
        }
        const tap_t *const end = make_taps(conv, weights, taps);
        simple_t simple = {0};
        if (is_short) {
            simple = simple_of(out, c);
        }
        const int32_t bias = out->bias[c];
        weights += conv->kernel_height * conv->kernel_width;
        int8_t *to = output + c;
        for (int32_t y = 0; y < conv->output_height; y++) {
            const int8_t *x = scratch + y * conv->stride_height * conv->line;
            for (int32_t left = width; left > 0; left -= 2) {
                int32_t sums[2] = {bias};
                sum_two(taps, end, x, left > 1 ? x + stride : x, sums);
                for (int32_t i = 0; i < 2 && i < left; i++) {
                    if (is_short) {
                        *to = (int8_t)clamp(requantize_simple(sums[i], simple), out->min, out->max);
                    } else {
                        *to = finish_rare(out, c, sums[i]);
                    }
                    to += pitch;
                }
                x += 2 * stride;
            }
        }
    }
}
