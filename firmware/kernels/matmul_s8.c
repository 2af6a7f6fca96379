/* Matrix product, plain C. */
#include "kernels.h"
#include "requantize.h"

#if !KERNELS_DSP

void matmul_s8(const int8_t *columns, int32_t pixels, int32_t depth, const int8_t *weights,
               int32_t channels, const requantization_t *out, int8_t *output) {
    for (int32_t p = 0; p < pixels; p++) {
        const int8_t *const x = columns + p * depth;
        const int8_t *w = weights;
        for (int32_t c = 0; c < channels; c++) {
            int32_t sum = 0;
            for (int32_t i = 0; i < depth; i++) {
                sum += x[i] * w[i];
            }
            w += depth;
            *output++ = requantize(add_wrapping(sum, out->bias[c]), out, c);
        }
    }
}

#endif
