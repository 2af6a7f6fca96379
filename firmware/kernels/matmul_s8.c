/* Matrix product, plain C. Sums are unsigned: they may wrap, as the reference's do. */
#include "kernels.h"
#include "requantize.h"

#if !KERNELS_DSP

static int32_t dot_4(const int8_t *x, const int8_t *w) {
    return x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
}

void matmul_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
               int32_t channels, const requantization_t *out, int8_t *output) {
    for (int32_t p = 0; p < pixels; p++) {
        const int8_t *const x = columns + p * depth;
        for (int32_t c = 0; c < channels; c++) {
            const int32_t first = c & ~1;
            const int32_t together = first + 1 < channels ? 2 : 1;
            const int8_t *w = weights + first * depth + (c - first) * 4;
            uint32_t sum = 0;
            for (int32_t i = 0; i < depth; i += 4) {
                sum += (uint32_t)dot_4(x + i, w);
                w += 4 * together;
            }
            *output++ = requantize(add_wrapping((int32_t)sum, out->bias[c]), out, c);
        }
    }
}

void filter_pair_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
                    int32_t channel, int32_t count, const requantization_t *out, int8_t *output,
                    int32_t pitch) {
    for (int32_t p = 0; p < pixels; p++) {
        for (int32_t f = 0; f < count; f++) {
            const int8_t *const x = columns + p * depth;
            const int8_t *w = weights + 4 * f;
            uint32_t sum = 0;
            for (int32_t i = 0; i < depth; i += 4) {
                sum += (uint32_t)dot_4(x + i, w);
                w += 4 * count;
            }
            const int32_t total = add_wrapping((int32_t)sum, out->bias[channel + f]);
            output[p * pitch + f] = requantize(total, out, channel + f);
        }
    }
}

#endif
