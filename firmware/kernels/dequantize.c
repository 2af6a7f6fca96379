#include "element.h"

/* The product is rounded once, from double, as TFLite does. */
void dequantize(int32_t count, element_t type, double scale, int32_t zero_point, const void *input,
                float *output) {
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = load_element(type, input, i);
        store_float(output, i, (float)(scale * (value - zero_point)));
    }
}
