/* Matrix product of int16 columns and int8 filters, plain C. */
#include "kernels.h"
#include "requantize_s16.h"

#if !KERNELS_DSP

void matmul_s16(const filters_s16_t *filters, const int16_t *columns, int32_t group, int32_t pixels,
                int16_t *output) {
    for (int32_t c = 0; c < filters->channels; c++) {
        const int8_t *const w = filters->weights + (c & ~1) * filters->depth + (c & 1);
        for (int32_t p = 0; p < pixels; p++) {
            const int16_t *x = columns + 2 * p;
            int64_t sum = 0;
            for (int32_t i = 0; i < filters->depth; i += 2) {
                sum += x[0] * w[2 * i] + x[1] * w[2 * i + 2];
                x += 2 * group;
            }
            output[p * filters->channels + c] = requantize_s16(sum, &filters->out, c);
        }
    }
}

#endif
