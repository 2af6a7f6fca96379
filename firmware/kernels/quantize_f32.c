/* Float to int8 or int16: divide in single precision, round halves away from zero. */
#include "element.h"
#include "requantize.h"

#define BEYOND (1 << 17) /* more than any zero point and any result together */

void quantize_f32(int32_t count, element_t type, float scale, int32_t zero_point,
                  const float *input, void *output) {
    const int32_t lowest = type == ELEMENT_INT8 ? INT8_MIN : INT16_MIN;
    const int32_t highest = type == ELEMENT_INT8 ? INT8_MAX : INT16_MAX;
    for (int32_t i = 0; i < count; i++) {
        const float x = load_float(input, i) / scale;
        int32_t rounded;
        if (!(x > -(float)BEYOND)) { /* also NaN */
            rounded = -BEYOND;
        } else if (x >= (float)BEYOND) {
            rounded = BEYOND;
        } else {
            const int32_t twice = (int32_t)(2.0f * x); /* odd: a half or more is left */
            rounded = (twice + (twice > 0) - (twice < 0)) / 2;
        }
        store_element(type, output, i, clamp(rounded + zero_point, lowest, highest));
    }
}
