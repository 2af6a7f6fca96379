/* One channel of any depthwise convolution with dual 16-bit multiplications.
 *
 * Without dilation along rows and with a stride of 1 or 2, four windows side by side, or the first
 * and the third, share words of inputs, widened into their even and their odd bytes; what lies
 * between two words is packed from both. A row's weights are words in the same form, and a single
 * one where a word would hold but one. Everything else is made tap by tap. */
#include "depthwise_plane_s8.h"
#include "dsp.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

/* The weights of one channel: `words` pairs of even and odd weights a row, then the single one. */
static uint32_t *expand_taps(const depthwise_conv_2d_t *conv, const int8_t *weights,
                             uint32_t *taps) {
    for (int32_t i = 0; i < conv->kernel_height; i++) {
        int32_t left = conv->kernel_width;
        for (; left > 1; left -= 4) {
            uint32_t word = 0;
            for (int32_t j = 0; j < 4 && j < left; j++) {
                word |= (uint32_t)(uint8_t)*weights++ << 8 * j;
            }
            *taps++ = sxtb16(word);
            *taps++ = sxtb16_odd(word);
        }
        if (left == 1) {
            *taps++ = (uint32_t)*weights++;
        }
    }
    return taps;
}

/* How a window is walked. */
typedef struct {
    const uint32_t *end; /* of the weights */
    int32_t kernel_width;
    int32_t jump; /* from the last word of a row to the first of the next one */
} window_t;

/* The sums of the windows that begin at x, x + 1, x + 2 and x + 3. */
#if DSP_LOOPS

/* As instructions, for the reasons that depthwise_plane_3x3_s8_dsp.c gives. */
static inline __attribute__((always_inline)) void sum_four(const window_t *window, const int8_t *x,
                                                           const uint32_t *taps, int32_t bias,
                                                           int32_t *sums) {
    int32_t a = bias, b = a, c = a, d = a, left;
    uint32_t even, odd, next_even, next_odd, even_taps, odd_taps;
    __asm__ volatile(
        ".p2align 2\n"
        "1:\n\t" /* a row */
        "ldr.w %[odd], [%[x]]\n\t"
        "ldr.w %[left], %[kernel_width]\n\t"
        "sxtb16 %[even], %[odd]\n\t"
        "sxtb16 %[odd], %[odd], ror #8\n\t"
        "subs.w %[left], %[left], #2\n\t"
        "blt.w 3f\n"

        "2:\n\t" /* a word of weights */
        "ldr.w %[next_odd], [%[x], #4]!\n\t"
        "ldrd %[even_taps], %[odd_taps], [%[taps]], #8\n\t"
        "sxtb16 %[next_even], %[next_odd]\n\t"
        "sxtb16 %[next_odd], %[next_odd], ror #8\n\t"
        "smlad %[a], %[even], %[even_taps], %[a]\n\t"
        "smlad %[b], %[odd], %[even_taps], %[b]\n\t"
        "smlad %[a], %[odd], %[odd_taps], %[a]\n\t"
        "pkhtb %[even], %[even], %[next_even]\n\t" /* x4, x2 */
        "pkhtb %[odd], %[odd], %[next_odd]\n\t"    /* x5, x3 */
        "smladx %[c], %[even], %[even_taps], %[c]\n\t"
        "smladx %[d], %[odd], %[even_taps], %[d]\n\t"
        "smladx %[b], %[even], %[odd_taps], %[b]\n\t"
        "smladx %[c], %[odd], %[odd_taps], %[c]\n\t"
        "smlad %[d], %[next_even], %[odd_taps], %[d]\n\t"
        "mov.w %[even], %[next_even]\n\t"
        "mov.w %[odd], %[next_odd]\n\t"
        "subs.w %[left], %[left], #4\n\t"
        "bge.w 2b\n"

        "3:\n\t" /* a single weight */
        "adds.w %[left], %[left], #1\n\t"
        "bne.w 4f\n\t"
        "ldr.w %[even_taps], [%[taps]], #4\n\t"
        "smlabb %[a], %[even], %[even_taps], %[a]\n\t"
        "smlabb %[b], %[odd], %[even_taps], %[b]\n\t"
        "smlatb %[c], %[even], %[even_taps], %[c]\n\t"
        "smlatb %[d], %[odd], %[even_taps], %[d]\n"

        "4:\n\t"
        "ldr.w %[left], %[jump]\n\t"
        "ldr.w %[even_taps], %[end]\n\t"
        "add.w %[x], %[x], %[left]\n\t"
        "cmp.w %[taps], %[even_taps]\n\t"
        "bne.w 1b"
        : [x] "+r"(x), [taps] "+r"(taps), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d),
          [left] "=&r"(left), [even] "=&r"(even), [odd] "=&r"(odd), [next_even] "=&r"(next_even),
          [next_odd] "=&r"(next_odd), [even_taps] "=&r"(even_taps), [odd_taps] "=&r"(odd_taps)
        : [end] "m"(window->end), [kernel_width] "m"(window->kernel_width), [jump] "m"(window->jump)
        : "cc", "memory");
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#else

static inline void sum_four(const window_t *window, const int8_t *x, const uint32_t *taps,
                            int32_t bias, int32_t *sums) {
    int32_t a = bias, b = a, c = a, d = a;
    for (; taps != window->end; x += window->jump) {
        uint32_t even = sxtb16(load_word(x)), odd = sxtb16_odd(load_word(x));
        int32_t left = window->kernel_width;
        for (; left > 1; left -= 4) {
            x += 4;
            const uint32_t next_even = sxtb16(load_word(x)), next_odd = sxtb16_odd(load_word(x));
            const uint32_t even_taps = *taps++, odd_taps = *taps++;
            const uint32_t x42 = pack_ends(even, next_even), x53 = pack_ends(odd, next_odd);
            a = smlad(odd, odd_taps, smlad(even, even_taps, a));
            b = smladx(x42, odd_taps, smlad(odd, even_taps, b));
            c = smladx(x53, odd_taps, smladx(x42, even_taps, c));
            d = smlad(next_even, odd_taps, smladx(x53, even_taps, d));
            even = next_even;
            odd = next_odd;
        }
        if (left == 1) {
            const uint32_t tap = *taps++;
            a = smlabb(even, tap, a);
            b = smlabb(odd, tap, b);
            c = smlatb(even, tap, c);
            d = smlatb(odd, tap, d);
        }
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}

#endif

static int32_t sum_window(const depthwise_conv_2d_t *conv, const int8_t *row, const int8_t *weights,
                          int32_t sum) {
    for (int32_t i = conv->kernel_height; i > 0; i--) {
        const int8_t *tap = row;
        for (int32_t j = conv->kernel_width; j > 0; j--) {
            sum = add_wrapping(sum, *tap * *weights++);
            tap += conv->dilation_width;
        }
        row += conv->dilation_height * conv->line;
    }
    return sum;
}

/* How the sums of one channel become outputs. */
typedef struct {
    const requantization_t *out;
    int32_t channel, pitch, is_short;
    simple_t simple;
} finish_t;

/* Not inlined: the rare case must not spread over the flash's instruction cache. */
__attribute__((noinline)) static int8_t finish_rare(const finish_t *how, int32_t sum) {
    return requantize(sum, how->out, how->channel);
}

/* Every step-th of `sums`. Not inlined: the sums' loop has no registers to spare. */
__attribute__((noinline)) static void finish(const finish_t *how, const int32_t *sums, int32_t step,
                                             int32_t count, int8_t *output) {
    const simple_t simple = how->simple;
    const int32_t pitch = how->pitch, is_short = how->is_short;
    for (; count > 0; count--) {
        *output = is_short ? requantize_simple(*sums, simple) : finish_rare(how, *sums);
        output += pitch;
        sums += step;
    }
}

void depthwise_plane_s8(const depthwise_conv_2d_t *conv, const int8_t *plane, int32_t rows,
                        int32_t channel, int8_t *taps, int8_t *output) {
    const int8_t *const weights =
        conv->weights + channel * conv->kernel_height * conv->kernel_width;
    const int32_t width = conv->output_width, stride = conv->stride_width;
    const int32_t bias = conv->out.bias[channel];
    finish_t how = {.out = &conv->out, .channel = channel, .pitch = conv->output_channels};
    how.is_short = conv->out.simple || conv->out.clamped;
    if (how.is_short) {
        how.simple = simple_of(&conv->out, channel);
    }
    uint32_t *const expanded = (uint32_t *)(void *)taps;
    const int32_t block = conv->taps_bytes == 0 ? 1 : 4 / stride;
    window_t window = {.kernel_width = conv->kernel_width};
    if (block > 1) {
        window.jump = conv->dilation_height * conv->line - ((conv->kernel_width + 2) & ~3);
        window.end = expand_taps(conv, weights, expanded);
    }
    for (int32_t y = 0; y < rows; y++) {
        const int8_t *const row = plane + y * conv->stride_height * conv->line;
        int8_t *const to = output + y * width * how.pitch;
        for (int32_t x = 0; x < width; x += block) {
            if (x + block > width && width > block) { /* the rest, with some of the ones before */
                x = width - block;
            }
            int32_t sums[4];
            if (block > 1) {
                sum_four(&window, row + x * stride, expanded, bias, sums);
            } else {
                sums[0] = sum_window(conv, row + x * stride, weights, bias);
            }
            finish(&how, sums, stride, block < width - x ? block : width - x, to + x * how.pitch);
        }
    }
}

#endif
