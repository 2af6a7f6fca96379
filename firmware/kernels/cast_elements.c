/* C's conversions. Of a float only what the integer type holds is defined in C and in TFLite; the
 * rest becomes what Arm cores make of it: nearest int32 or uint32, NaN 0, then the lower bits. */
#include "element.h"

static int32_t truncate(float value, element_t to) {
    const float lowest = to == ELEMENT_UINT32 ? 0.0f : -2147483648.0f;
    const float limit = to == ELEMENT_UINT32 ? 4294967296.0f : 2147483648.0f;
    if (!(value > lowest)) {
        return value <= lowest ? (int32_t)lowest : 0;
    }
    if (value >= limit) {
        return to == ELEMENT_UINT32 ? -1 : INT32_MAX;
    }
    return to == ELEMENT_UINT32 ? (int32_t)(uint32_t)value : (int32_t)value;
}

void cast_elements(int32_t count, element_t from, element_t to, const void *input, void *output) {
    for (int32_t i = 0; i < count; i++) {
        if (from == ELEMENT_FLOAT32) {
            const float value = load_float(input, i);
            if (to == ELEMENT_FLOAT32) {
                store_float(output, i, value);
            } else {
                store_element(to, output, i, truncate(value, to));
            }
        } else {
            const int32_t value = load_element(from, input, i);
            if (to != ELEMENT_FLOAT32) {
                store_element(to, output, i, value);
            } else {
                store_float(output, i,
                            from == ELEMENT_UINT32 ? (float)(uint32_t)value : (float)value);
            }
        }
    }
}
