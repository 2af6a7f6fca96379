#include "kernels.h"
#include "requantize.h"

void clamp_s16(int32_t count, int32_t min, int32_t max, const int16_t *input, int16_t *output) {
    for (int32_t i = 0; i < count; i++) {
        output[i] = (int16_t)clamp(input[i], min, max);
    }
}
