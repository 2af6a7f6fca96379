#include "element.h"

/* TFLite multiplies in double precision and rounds to single. The product of a float and 17 bits
 * fits a double, so that a multiplication in single precision, which rounds once too, is the same.
 */
void dequantize(int32_t count, element_t type, float scale, int32_t zero_point, const void *input,
                float *output) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = load_element(type, input, i);
        store_float(output, i, scale * (float)(value - zero_point));
    }
}
