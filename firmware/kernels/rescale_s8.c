#include "kernels.h"
#include "requantize.h"

void rescale_s8(const rescale_t *rescaling, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < rescaling->count; i++) {
        const int32_t x = rescale(input[i] - rescaling->input_zero_point, rescaling->multiplier,
                                  rescaling->shift);
        output[i] =
            (int8_t)clamp(add_wrapping(x, rescaling->zero_point), rescaling->min, rescaling->max);
    }
}
