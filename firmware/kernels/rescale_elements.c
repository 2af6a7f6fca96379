#include "element.h"
#include "requantize.h"

void rescale_elements(const rescale_t *rescaling, element_t from, element_t to, const void *input,
                      void *output) {
    for (int32_t i = 0; i < rescaling->count; i++) {
        const uint32_t zero = (uint32_t)rescaling->input_zero_point;
        const int32_t x = (int32_t)((uint32_t)load_element(from, input, i) - zero);
        const int32_t scaled = rescale(x, rescaling->multiplier, rescaling->shift);
        const int32_t y = add_wrapping(scaled, rescaling->zero_point);
        store_element(to, output, i, clamp(y, rescaling->min, rescaling->max));
    }
}
