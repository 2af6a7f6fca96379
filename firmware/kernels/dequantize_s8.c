#include "kernels.h"

/* The product is rounded once, from double, as TFLite does. */
void dequantize_s8(int32_t count, double scale, int32_t zero_point, const int8_t *input,
                   float *output) {
    for (int32_t i = 0; i < count; i++) {
        output[i] = (float)(scale * (input[i] - zero_point));
    }
}
