/* Float to int8: divide in single precision, round halves away from zero. */
#include "kernels.h"
#include "requantize.h"

void quantize_f32(int32_t count, float scale, int32_t zero_point, const float *input,
                  int8_t *output) {
    for (int32_t i = 0; i < count; i++) {
        const float x = input[i] / scale;
        int32_t rounded;
        if (!(x > -1024.0f)) { /* also NaN */
            rounded = -1024;
        } else if (x >= 1024.0f) {
            rounded = 1024;
        } else {
            rounded = (int32_t)x;
            const float rest = x - (float)rounded; /* exact below 2^23 */
            rounded += rest >= 0.5f ? 1 : rest <= -0.5f ? -1 : 0;
        }
        output[i] = (int8_t)clamp(rounded + zero_point, INT8_MIN, INT8_MAX);
    }
}
