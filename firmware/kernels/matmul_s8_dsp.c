/* Matrix product with dual 16-bit multiplications: two filters times two columns at once, so that
 * each word loaded and widened is used twice; four filters where there is only one column. */
#include "dsp.h"
#include "kernels.h"
#include "requantize_dsp.h"

#if KERNELS_DSP

static inline int32_t dot(uint32_t a, uint32_t b, int32_t sum) {
    return smlad(sxtb16_odd(a), sxtb16_odd(b), smlad(sxtb16(a), sxtb16(b), sum));
}

/* STEP(i): bytes 4i to 4i + 3 of two filters (in pairs at w) times those of two columns (x0, x1).
 * SINGLE_STEP(i): of four filters (two pairs, w and v) times those of one column (x0).
 *
 * On Arm they are written as instructions: their registers fill the core exactly, and a compiler
 * that moves the loads to the front has to spill half of them. All of them are wide and start on a
 * word: a run of wide instructions across word boundaries starves the fetch buffer. */
#if defined(__ARM_FEATURE_DSP) && !defined(HILNAS_EMULATE_DSP) && defined(__OPTIMIZE__)

#define STEP(i)                                                                                    \
    do {                                                                                           \
        uint32_t a, b, x, a_even, b_even, x_even;                                                  \
        __asm__ volatile(".p2align 2\n\t"                                                          \
                         "ldr.w %[a], [%[w], %[w0]]\n\t"                                           \
                         "ldr.w %[b], [%[w], %[w1]]\n\t"                                           \
                         "ldr.w %[x], [%[x0], %[offset]]\n\t"                                      \
                         "sxtb16 %[a_even], %[a]\n\t"                                              \
                         "sxtb16 %[b_even], %[b]\n\t"                                              \
                         "sxtb16 %[x_even], %[x]\n\t"                                              \
                         "sxtb16 %[a], %[a], ror #8\n\t"                                           \
                         "sxtb16 %[b], %[b], ror #8\n\t"                                           \
                         "sxtb16 %[x], %[x], ror #8\n\t"                                           \
                         "smlad %[ax], %[a_even], %[x_even], %[ax]\n\t"                            \
                         "smlad %[bx], %[b_even], %[x_even], %[bx]\n\t"                            \
                         "smlad %[ax], %[a], %[x], %[ax]\n\t"                                      \
                         "smlad %[bx], %[b], %[x], %[bx]\n\t"                                      \
                         "ldr.w %[x], [%[x1], %[offset]]\n\t"                                      \
                         "sxtb16 %[x_even], %[x]\n\t"                                              \
                         "sxtb16 %[x], %[x], ror #8\n\t"                                           \
                         "smlad %[ay], %[a_even], %[x_even], %[ay]\n\t"                            \
                         "smlad %[by], %[b_even], %[x_even], %[by]\n\t"                            \
                         "smlad %[ay], %[a], %[x], %[ay]\n\t"                                      \
                         "smlad %[by], %[b], %[x], %[by]"                                          \
                         : [a] "=&r"(a), [b] "=&r"(b), [x] "=&r"(x), [a_even] "=&r"(a_even),       \
                           [b_even] "=&r"(b_even), [x_even] "=&r"(x_even), [ax] "+r"(sum_ax),      \
                           [bx] "+r"(sum_bx), [ay] "+r"(sum_ay), [by] "+r"(sum_by)                 \
                         : [w] "r"(w), [x0] "r"(x0), [x1] "r"(x1), [w0] "i"(8 * (i)),              \
                           [w1] "i"(8 * (i) + 4), [offset] "i"(4 * (i))                            \
                         : "memory");                                                              \
    } while (0)

#define SINGLE_STEP(i)                                                                             \
    do {                                                                                           \
        uint32_t a, b, x, x_even, even;                                                            \
        __asm__ volatile(".p2align 2\n\t"                                                          \
                         "ldr.w %[x], [%[x0], %[offset]]\n\t"                                      \
                         "ldr.w %[a], [%[w], %[w0]]\n\t"                                           \
                         "ldr.w %[b], [%[w], %[w1]]\n\t"                                           \
                         "sxtb16 %[x_even], %[x]\n\t"                                              \
                         "sxtb16 %[x], %[x], ror #8\n\t"                                           \
                         "sxtb16 %[even], %[a]\n\t"                                                \
                         "sxtb16 %[a], %[a], ror #8\n\t"                                           \
                         "smlad %[s0], %[even], %[x_even], %[s0]\n\t"                              \
                         "smlad %[s0], %[a], %[x], %[s0]\n\t"                                      \
                         "sxtb16 %[even], %[b]\n\t"                                                \
                         "sxtb16 %[b], %[b], ror #8\n\t"                                           \
                         "smlad %[s1], %[even], %[x_even], %[s1]\n\t"                              \
                         "smlad %[s1], %[b], %[x], %[s1]\n\t"                                      \
                         "ldr.w %[a], [%[v], %[w0]]\n\t"                                           \
                         "ldr.w %[b], [%[v], %[w1]]\n\t"                                           \
                         "sxtb16 %[even], %[a]\n\t"                                                \
                         "sxtb16 %[a], %[a], ror #8\n\t"                                           \
                         "smlad %[s2], %[even], %[x_even], %[s2]\n\t"                              \
                         "smlad %[s2], %[a], %[x], %[s2]\n\t"                                      \
                         "sxtb16 %[even], %[b]\n\t"                                                \
                         "sxtb16 %[b], %[b], ror #8\n\t"                                           \
                         "smlad %[s3], %[even], %[x_even], %[s3]\n\t"                              \
                         "smlad %[s3], %[b], %[x], %[s3]"                                          \
                         : [a] "=&r"(a), [b] "=&r"(b), [x] "=&r"(x), [x_even] "=&r"(x_even),       \
                           [even] "=&r"(even), [s0] "+r"(sum0), [s1] "+r"(sum1), [s2] "+r"(sum2),  \
                           [s3] "+r"(sum3)                                                         \
                         : [w] "r"(w), [v] "r"(v), [x0] "r"(x0), [w0] "i"(8 * (i)),                \
                           [w1] "i"(8 * (i) + 4), [offset] "i"(4 * (i))                            \
                         : "memory");                                                              \
    } while (0)

#else

#define STEP(i)                                                                                    \
    do {                                                                                           \
        const uint32_t a = load_word(w + 8 * (i)), b = load_word(w + 8 * (i) + 4);                 \
        const uint32_t x = load_word(x0 + 4 * (i)), y = load_word(x1 + 4 * (i));                   \
        sum_ax = dot(a, x, sum_ax);                                                                \
        sum_bx = dot(b, x, sum_bx);                                                                \
        sum_ay = dot(a, y, sum_ay);                                                                \
        sum_by = dot(b, y, sum_by);                                                                \
    } while (0)

#define SINGLE_STEP(i)                                                                             \
    do {                                                                                           \
        const uint32_t x = load_word(x0 + 4 * (i));                                                \
        sum0 = dot(load_word(w + 8 * (i)), x, sum0);                                               \
        sum1 = dot(load_word(w + 8 * (i) + 4), x, sum1);                                           \
        sum2 = dot(load_word(v + 8 * (i)), x, sum2);                                               \
        sum3 = dot(load_word(v + 8 * (i) + 4), x, sum3);                                           \
    } while (0)

#endif

/* Not inlined: the rare case must not take registers from the common one. */
__attribute__((noinline)) static void finish(const int32_t *sums, const requantization_t *out,
                                             int32_t channel, int32_t count, int8_t *output) {
    for (int32_t i = 0; i < count; i++) {
        output[i] = requantize(sums[i], out, channel + i);
    }
}

/* Two columns, all channels. */
static void multiply_pair(const int8_t *columns, int32_t depth, const int8_t *weights,
                          int32_t channels, const requantization_t *out, int8_t *output) {
    const int8_t *w = weights;
    const int8_t *const end = columns + (depth & ~15);
    int32_t c = 0;
    for (; c + 1 < channels; c += 2) {
        const int8_t *x0 = columns, *x1 = columns + depth;
        int32_t sum_ax = out->bias[c], sum_bx = out->bias[c + 1];
        int32_t sum_ay = sum_ax, sum_by = sum_bx;
        while (x0 != end) {
            STEP(0);
            STEP(1);
            STEP(2);
            STEP(3);
            w += 32;
            x0 += 16;
            x1 += 16;
        }
        if (depth & 8) {
            STEP(0);
            STEP(1);
            w += 16;
            x0 += 8;
            x1 += 8;
        }
        if (depth & 4) {
            STEP(0);
            w += 8;
        }
        if (out->simple) {
            const simple_t a = simple_of(out, c), b = simple_of(out, c + 1);
            output[c] = requantize_simple(sum_ax, a);
            output[c + 1] = requantize_simple(sum_bx, b);
            output[channels + c] = requantize_simple(sum_ay, a);
            output[channels + c + 1] = requantize_simple(sum_by, b);
        } else {
            const int32_t x[] = {sum_ax, sum_bx}, y[] = {sum_ay, sum_by};
            finish(x, out, c, 2, output + c);
            finish(y, out, c, 2, output + channels + c);
        }
    }
    if (c < channels) {
        int32_t x = out->bias[c], y = x;
        for (int32_t i = 0; i < depth; i += 4) {
            const uint32_t a = load_word(w + i);
            const uint32_t even = sxtb16(a), odd = sxtb16_odd(a);
            const uint32_t b = load_word(columns + i), d = load_word(columns + depth + i);
            x = smlad(odd, sxtb16_odd(b), smlad(even, sxtb16(b), x));
            y = smlad(odd, sxtb16_odd(d), smlad(even, sxtb16(d), y));
        }
        finish(&x, out, c, 1, output + c);
        finish(&y, out, c, 1, output + channels + c);
    }
}

/* One column, all channels. */
static void multiply_single(const int8_t *column, int32_t depth, const int8_t *weights,
                            int32_t channels, const requantization_t *out, int8_t *output) {
    const int8_t *w = weights;
    int32_t c = 0;
    for (; c + 3 < channels; c += 4) {
        const int8_t *x0 = column, *v = w + 2 * depth;
        const int8_t *const end = column + (depth & ~7);
        int32_t sum0 = out->bias[c], sum1 = out->bias[c + 1];
        int32_t sum2 = out->bias[c + 2], sum3 = out->bias[c + 3];
        while (x0 != end) {
            SINGLE_STEP(0);
            SINGLE_STEP(1);
            w += 16;
            v += 16;
            x0 += 8;
        }
        if (depth & 4) {
            SINGLE_STEP(0);
            v += 8;
        }
        w = v;
        if (out->simple) {
            output[c] = requantize_simple(sum0, simple_of(out, c));
            output[c + 1] = requantize_simple(sum1, simple_of(out, c + 1));
            output[c + 2] = requantize_simple(sum2, simple_of(out, c + 2));
            output[c + 3] = requantize_simple(sum3, simple_of(out, c + 3));
        } else {
            const int32_t sums[] = {sum0, sum1, sum2, sum3};
            finish(sums, out, c, 4, output + c);
        }
    }
    for (; c < channels; c++) {
        const int32_t first = c & ~1;
        const int32_t step = first + 1 < channels ? 8 : 4;
        const int8_t *a = weights + first * depth + (c - first) * 4;
        int32_t sum = out->bias[c];
        for (int32_t i = 0; i < depth; i += 4) {
            const uint32_t y = load_word(a), x = load_word(column + i);
            sum = smlad(sxtb16_odd(y), sxtb16_odd(x), smlad(sxtb16(y), sxtb16(x), sum));
            a += step;
        }
        finish(&sum, out, c, 1, output + c);
    }
}

void matmul_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
               int32_t channels, const requantization_t *out, int8_t *output) {
    for (; pixels > 1; pixels -= 2) {
        multiply_pair(columns, depth, weights, channels, out, output);
        columns += 2 * depth;
        output += 2 * channels;
    }
    if (pixels) {
        multiply_single(columns, depth, weights, channels, out, output);
    }
}

/* What is no pair of simple filters: plain dot products. */
static void multiply_rest(const int8_t *columns, int32_t pixels, int32_t depth,
                          const int8_t *weights, int32_t channel, int32_t count,
                          const requantization_t *out, int8_t *output, int32_t pitch) {
    for (int32_t p = 0; p < pixels; p++) {
        for (int32_t f = 0; f < count; f++) {
            const int8_t *w = weights + 4 * f;
            int32_t sum = out->bias[channel + f];
            for (int32_t i = 0; i < depth; i += 4) {
                sum = dot(load_word(w), load_word(columns + i), sum);
                w += 4 * count;
            }
            finish(&sum, out, channel + f, 1, output + f);
        }
        columns += depth;
        output += pitch;
    }
}

void filter_pair_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
                    int32_t channel, int32_t count, const requantization_t *out, int8_t *output,
                    int32_t pitch) {
    if (count == 1 || pixels == 1 || !out->simple) {
        multiply_rest(columns, pixels, depth, weights, channel, count, out, output, pitch);
        return;
    }
    const simple_t a = simple_of(out, channel), b = simple_of(out, channel + 1);
    const int32_t bias_a = out->bias[channel], bias_b = out->bias[channel + 1];
    const int8_t *x0 = columns;
    for (; pixels > 0; pixels -= 2) {
        if (pixels == 1) { /* the last column, once more with the one before it */
            x0 -= depth;
            output -= pitch;
        }
        const int8_t *w = weights, *x1 = x0 + depth;
        const int8_t *const end = x0 + (depth & ~15);
        int32_t sum_ax = bias_a, sum_bx = bias_b, sum_ay = bias_a, sum_by = bias_b;
        while (x0 != end) {
            STEP(0);
            STEP(1);
            STEP(2);
            STEP(3);
            w += 32;
            x0 += 16;
            x1 += 16;
        }
        if (depth & 8) {
            STEP(0);
            STEP(1);
            w += 16;
            x0 += 8;
            x1 += 8;
        }
        if (depth & 4) {
            STEP(0);
            x1 += 4;
        }
        x0 = x1;
        output[0] = requantize_simple(sum_ax, a);
        output[1] = requantize_simple(sum_bx, b);
        output[pitch] = requantize_simple(sum_ay, a);
        output[pitch + 1] = requantize_simple(sum_by, b);
        output += 2 * pitch;
    }
}

#endif
