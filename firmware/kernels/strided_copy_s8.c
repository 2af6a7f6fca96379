/* Transposes, and slices with steps: elements some bytes apart, up to five axes of them. */
#include "copy.h"
#include "kernels.h"

static void copy_strided(int8_t *to, const int8_t *from, int32_t count, int32_t stride) {
    for (; count >= 4; count -= 4) {
        to[0] = from[0];
        to[1] = from[stride];
        to[2] = from[2 * stride];
        to[3] = from[3 * stride];
        from += 4 * stride;
        to += 4;
    }
    for (; count > 0; count--) {
        *to++ = *from;
        from += stride;
    }
}

void strided_copy_s8(const strided_copy_t *copy, const int8_t *input, int8_t *output) {
    const int32_t *const sizes = copy->sizes;
    const int32_t *const strides = copy->strides;
    for (int32_t a = 0; a < sizes[0]; a++) {
        for (int32_t b = 0; b < sizes[1]; b++) {
            for (int32_t c = 0; c < sizes[2]; c++) {
                const int8_t *from = input + a * strides[0] + b * strides[1] + c * strides[2];
                for (int32_t d = 0; d < sizes[3]; d++) {
                    if (strides[4] == 1) {
                        copy_upwards(output, from, sizes[4]);
                    } else {
                        copy_strided(output, from, sizes[4], strides[4]);
                    }
                    from += strides[3];
                    output += sizes[4];
                }
            }
        }
    }
}
