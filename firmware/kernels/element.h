/* Tensors of any type, element by element: bytes are copied, so that memory may hold one type where
 * it is read and another where it is written. */
#ifndef HILNAS_ELEMENT_H
#define HILNAS_ELEMENT_H

#include <string.h>

#include "conversion.h"

/* Element i of an integer type, as the 32 bits it becomes in C. */
static inline int32_t load_element(element_t type, const void *from, int32_t i) {
    const uint8_t *const bytes = from;
    int16_t half;
    int32_t word;
    switch (type) {
    case ELEMENT_INT8:
        return (int8_t)bytes[i];
    case ELEMENT_UINT8:
    case ELEMENT_BOOL:
        return bytes[i];
    case ELEMENT_INT16:
        memcpy(&half, bytes + 2 * i, sizeof half);
        return half;
    default:
        memcpy(&word, bytes + 4 * i, sizeof word);
        return word;
    }
}

/* The lower bits of `value`, as many as the integer type has. */
static inline void store_element(element_t type, void *to, int32_t i, int32_t value) {
    uint8_t *const bytes = to;
    const int16_t half = (int16_t)value;
    switch (type) {
    case ELEMENT_INT8:
    case ELEMENT_UINT8:
    case ELEMENT_BOOL:
        bytes[i] = (uint8_t)value;
        break;
    case ELEMENT_INT16:
        memcpy(bytes + 2 * i, &half, sizeof half);
        break;
    default:
        memcpy(bytes + 4 * i, &value, sizeof value);
    }
}

static inline float load_float(const void *from, int32_t i) {
    float value;
    memcpy(&value, (const uint8_t *)from + 4 * i, sizeof value);
    return value;
}

static inline void store_float(void *to, int32_t i, float value) {
    memcpy((uint8_t *)to + 4 * i, &value, sizeof value);
}

#endif
