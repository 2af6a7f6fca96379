/* Matrix product with dual 16-bit multiplications: two filters times two columns at once, so that
 * each word loaded and widened is used twice; four filters where there is only one column. */
#include "dsp.h"
#include "kernels.h"
#include "requantize.h"

#if KERNELS_DSP

/* Two columns, all channels. */
static void multiply_pair(const int8_t *columns, int32_t depth, const int8_t *weights,
                          int32_t channels, const requantization_t *out, int8_t *output) {
    int32_t c = 0;
    for (; c + 1 < channels; c += 2) {
        const int8_t *x = columns;
        const int8_t *const end = columns + depth;
        int32_t sum00 = out->bias[c], sum01 = out->bias[c + 1];
        int32_t sum10 = sum00, sum11 = sum01;
        do {
            const uint32_t w0 = load_word(weights), w1 = load_word(weights + depth);
            const uint32_t w0_even = sxtb16(w0), w0_odd = sxtb16_odd(w0);
            const uint32_t w1_even = sxtb16(w1), w1_odd = sxtb16_odd(w1);
            const uint32_t x0 = load_word(x), x1 = load_word(x + depth);
            const uint32_t x0_even = sxtb16(x0), x0_odd = sxtb16_odd(x0);
            sum00 = smlad(w0_even, x0_even, sum00);
            sum01 = smlad(w1_even, x0_even, sum01);
            sum00 = smlad(w0_odd, x0_odd, sum00);
            sum01 = smlad(w1_odd, x0_odd, sum01);
            const uint32_t x1_even = sxtb16(x1), x1_odd = sxtb16_odd(x1);
            sum10 = smlad(w0_even, x1_even, sum10);
            sum11 = smlad(w1_even, x1_even, sum11);
            sum10 = smlad(w0_odd, x1_odd, sum10);
            sum11 = smlad(w1_odd, x1_odd, sum11);
            weights += 4;
            x += 4;
        } while (x != end);
        weights += depth;
        output[c] = requantize(sum00, out, c);
        output[c + 1] = requantize(sum01, out, c + 1);
        output[channels + c] = requantize(sum10, out, c);
        output[channels + c + 1] = requantize(sum11, out, c + 1);
    }
    if (c < channels) {
        int32_t sum0 = out->bias[c], sum1 = out->bias[c];
        for (int32_t i = 0; i < depth; i += 4) {
            const uint32_t w = load_word(weights + i);
            const uint32_t even = sxtb16(w), odd = sxtb16_odd(w);
            const uint32_t x0 = load_word(columns + i), x1 = load_word(columns + depth + i);
            sum0 = smlad(odd, sxtb16_odd(x0), smlad(even, sxtb16(x0), sum0));
            sum1 = smlad(odd, sxtb16_odd(x1), smlad(even, sxtb16(x1), sum1));
        }
        output[c] = requantize(sum0, out, c);
        output[channels + c] = requantize(sum1, out, c);
    }
}

/* One column, all channels. */
static void multiply_single(const int8_t *column, int32_t depth, const int8_t *weights,
                            int32_t channels, const requantization_t *out, int8_t *output) {
    int32_t c = 0;
    for (; c + 3 < channels; c += 4) {
        const int8_t *const w2 = weights + 2 * depth;
        int32_t sum0 = out->bias[c], sum1 = out->bias[c + 1];
        int32_t sum2 = out->bias[c + 2], sum3 = out->bias[c + 3];
        for (int32_t i = 0; i < depth; i += 4) {
            const uint32_t x = load_word(column + i);
            const uint32_t even = sxtb16(x), odd = sxtb16_odd(x);
            const uint32_t a = load_word(weights + i), b = load_word(weights + depth + i);
            sum0 = smlad(odd, sxtb16_odd(a), smlad(even, sxtb16(a), sum0));
            sum1 = smlad(odd, sxtb16_odd(b), smlad(even, sxtb16(b), sum1));
            const uint32_t d = load_word(w2 + i), e = load_word(w2 + depth + i);
            sum2 = smlad(odd, sxtb16_odd(d), smlad(even, sxtb16(d), sum2));
            sum3 = smlad(odd, sxtb16_odd(e), smlad(even, sxtb16(e), sum3));
        }
        weights += 4 * depth;
        output[c] = requantize(sum0, out, c);
        output[c + 1] = requantize(sum1, out, c + 1);
        output[c + 2] = requantize(sum2, out, c + 2);
        output[c + 3] = requantize(sum3, out, c + 3);
    }
    for (; c < channels; c++) {
        int32_t sum = out->bias[c];
        for (int32_t i = 0; i < depth; i += 4) {
            const uint32_t w = load_word(weights + i), x = load_word(column + i);
            sum = smlad(sxtb16_odd(w), sxtb16_odd(x), smlad(sxtb16(w), sxtb16(x), sum));
        }
        weights += depth;
        output[c] = requantize(sum, out, c);
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

#endif
