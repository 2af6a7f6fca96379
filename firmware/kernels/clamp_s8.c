#include "kernels.h"
#include "requantize.h"

#if !KERNELS_DSP

void clamp_s8(int32_t count, int32_t min, int32_t max, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int8_t)clamp(input[i], min, max);
    }
}

#endif
