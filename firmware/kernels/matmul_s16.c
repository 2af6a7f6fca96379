/* Matrix product of int16 columns and int8 filters, plain C. */
#include "kernels.h"
#include "requantize_s16.h"

#if !KERNELS_DSP

static int32_t dot_4(const int16_t *x, const int8_t *w) {
    return x[0] * w[0] + x[1] * w[2] + x[2] * w[1] + x[3] * w[3];
}

void matmul_s16(const int16_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
                int32_t channels, const requantization_s16_t *out, int16_t *output) {
    for (int32_t p = 0; p < pixels; p++) {
        const int16_t *const x = columns + p * depth;
        for (int32_t c = 0; c < channels; c++) {
            const int32_t first = c & ~1;
            const int32_t together = first + 1 < channels ? 2 : 1;
            const int8_t *w = weights + first * depth + (c - first) * 4;
            int64_t sum = 0;
            for (int32_t i = 0; i < depth; i += 4) {
                sum += dot_4(x + i, w);
                w += 4 * together;
            }
            *output++ = requantize_s16(sum, out, c);
        }
    }
}

#endif
